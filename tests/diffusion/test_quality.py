"""The default recipe learns as well as it did, by its certified error."""

import pytest
import torch

from benchmarks import learning


@pytest.mark.parametrize(
    ("steps", "most"),
    [
        # 0.038 to 0.044 over five seeds.
        pytest.param(300, 0.06),
        # 0.0053 in the README, 0.0047 with fewer quadrature nodes and draws.
        pytest.param(1200, 0.0075, marks=pytest.mark.soak),
    ],
)
def test_the_defaults_are_as_good_as_they_were(steps, most):
    overrides = {
        "threads": 1,
        "training.steps": steps,
        "evaluation.noise_levels": 32,
        "evaluation.risk_draws": 512,
    }
    before = torch.get_num_threads()
    try:
        task = learning.make_task(learning.read_parameters("base", overrides))
        denoiser, _ = learning.learn(task, 0)
        nats, error = learning.bound(task, denoiser, 0)
    finally:
        torch.set_num_threads(before)
    assert 5 * error < nats < most
