import numpy as np
import pytest
import torch

from pointillist.diffusion.density import GaussianMixture


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@pytest.fixture(scope="session")
def ring() -> GaussianMixture:
    """Eleven uneven anchors around a ring: standardised, not symmetric, float64."""
    angle = np.linspace(0, 2 * np.pi, 11, endpoint=False) ** 1.1
    points = np.stack((np.cos(angle), np.sin(2 * angle) + 0.3 * angle), -1)
    points = (points - points.mean(0)) / points.std(0)
    return GaussianMixture(torch.from_numpy(points), 0.05)


@pytest.fixture(scope="session")
def weighted(ring: GaussianMixture) -> GaussianMixture:
    """The ring with weights from 1 to 11, none of them twice."""
    return GaussianMixture(ring.anchors, 0.05, torch.arange(1.0, 12.0))
