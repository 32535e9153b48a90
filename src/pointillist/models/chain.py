"""The reverse chain, and how it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch

from pointillist import shapes
from pointillist.diffusion import chains, devices
from pointillist.diffusion.chains import Chain
from pointillist.diffusion.config import Sampling
from pointillist.errors import PointillistError
from pointillist.models.denoiser import TrainedDenoiser
from pointillist.models.stored import Stored
from pointillist.models.tensors import Tensors
from pointillist.progress import track


@dataclass(frozen=True, kw_only=True)
class ReverseChain(Stored):
    """A chain, and the model, samples and settings that it belongs to."""

    kind: ClassVar[str] = "reverse_chain"
    made_by: ClassVar[str] = "sample"

    chain: Chain
    sampling: Sampling
    seed: int
    samples_digest: str
    """Of the points that were drawn."""
    model_digest: str
    """Of the model's file."""
    model_version: str | None

    @classmethod
    def of(
        cls,
        chain: Chain,
        model: TrainedDenoiser,
        samples: pd.DataFrame,
        sampling: Sampling,
        seed: int,
    ) -> Self:
        """Note with a chain which `model` drew it, as which `samples`, and how."""
        return cls(
            chain=chain,
            sampling=sampling,
            seed=seed,
            samples_digest=shapes.digest(samples.to_numpy()),
            model_digest=model.digest,
            model_version=model.version,
            shape=model.shape,
        )

    def to_tensors(self) -> Tensors:
        """Return the tensors and metadata of one safetensors file."""
        return Tensors(
            {f.name: getattr(self.chain, f.name).contiguous() for f in fields(Chain)},
            {
                "kind": self.kind,
                "shape": self.shape,
                "model_digest": self.model_digest,
                "model_version": self.model_version,
                "samples_digest": self.samples_digest,
                "sampling": self.sampling.model_dump(mode="json"),
                "seed": self.seed,
                "package_version": self.package_version,
            },
        )

    @classmethod
    def from_tensors(cls, file: Tensors) -> Self:
        """Make it of its file.

        Raises
        ------
        PointillistError
            If the file is no reverse chain, or that of another version of the package.
        """
        cls.require_kind(file)
        about: dict[str, Any] = file.metadata
        try:
            return cls(
                chain=Chain(**{f.name: file.tensors[f.name] for f in fields(Chain)}),
                sampling=Sampling.model_validate(about["sampling"]),
                seed=about["seed"],
                samples_digest=about["samples_digest"],
                model_digest=about["model_digest"],
                model_version=about["model_version"],
                shape=about["shape"],
                version=about.get("version"),
                digest=about.get("digest", ""),
                package_version=about["package_version"],
            )
        except (KeyError, ValueError) as error:
            raise cls.misfit(file, error) from None

    def require_model(self, model: TrainedDenoiser, samples: pd.DataFrame) -> None:
        """Refuse to measure or draw samples beside a model that did not make them.

        Raises
        ------
        PointillistError
            With the way to bring the two together.
        """
        again = f"kedro run --pipelines sample --params shape={model.shape}"
        if self.model_digest != model.digest:
            raise PointillistError(
                f"The samples of {model.shape!r} were drawn by another model than the one loaded. Draw "
                f"new ones: {again}\nOr load theirs: --load-versions denoiser:{self.model_version}"
            )
        if self.samples_digest != shapes.digest(samples.to_numpy()):
            raise PointillistError(
                f"The samples and the reverse chain of {model.shape!r} come from different runs. Load "
                f"one version of both with --load-versions, or draw new ones: {again}"
            )

    @property
    def noise_ratios(self) -> np.ndarray:
        """Sigma / alpha of every state (F,), falling."""
        return (self.chain.sigma / self.chain.alpha).numpy()

    def view(self, model: TrainedDenoiser) -> np.ndarray:
        """Return the states (F, n, 2) as one looks at them.

        They are divided by sqrt(alpha^2 + sigma^2), which keeps the cloud at about the size of the
        shape at every noise level, and taken to the coordinates of pictures.
        """
        return _seen(self.chain.x, self.chain.alpha, self.chain.sigma, model)

    def forward_view(
        self, model: TrainedDenoiser, frames: np.ndarray, generator: torch.Generator
    ) -> np.ndarray:
        """Return fresh points of the truth, noised to the levels of the chain's `frames`, in that view.

        One draw of points and one of noise serve all levels, (len(frames), n, 2) in those coordinates.
        """
        index = torch.from_numpy(frames.copy())
        alpha, sigma = self.chain.alpha[index], self.chain.sigma[index]
        x0, _ = model.density.sample(self.chain.x.shape[1], generator)
        eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
        x = alpha[:, None, None] * x0 + sigma[:, None, None] * eps
        return _seen(x, alpha, sigma, model)


def run_chain(
    model: TrainedDenoiser, sampling: Sampling, seed: int, device: str
) -> chains.Recorder:
    """Run the chain of this seed: every sampler starts from the same noise."""
    where = devices.resolve(device)
    model = model.to(where)
    path = model.denoiser.path
    start = chains.start_distribution(model.density, path, sampling.start, sampling.sigma_max)
    states = chains.sample(
        model.denoiser, path, start, sampling, devices.generator(seed, "sample", where)
    )
    steps = len(chains.chain_levels(path, sampling)) - 1
    chains.warn_of_surprises(path, sampling)
    recorder = chains.Recorder(sampling.n_frames, steps)
    for state in track(states, "Sampling", chains.total_steps(path, sampling)):
        recorder.add(state)
    return recorder


def _seen(
    x: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor, model: TrainedDenoiser
) -> np.ndarray:
    scale = (alpha**2 + sigma**2).rsqrt()[:, None, None]
    return model.pictured(model.original(x * scale)).astype(np.float32)


@dataclass(frozen=True)
class Moving:
    """A chain and the forward process that leads to its start, as pictures that move show them.

    Seen variance-preserving, in the proportions of pictures, but around the origin of the model's
    coordinates, so that ``cos(a) clean + sin(a) noise`` is the forward process at
    ``tan(a) = sigma / alpha``.
    """

    states: np.ndarray
    """(F, n, 2)."""
    noise_ratios: np.ndarray
    """(F,), falling."""
    clean: np.ndarray
    """(n, 2) fresh points of the truth."""
    noise: np.ndarray
    """(n, 2), the noise in which the chain starts."""
    truth: np.ndarray
    """(M, 2)."""
    center: tuple[float, float]
    scale: tuple[float, float]
    """The map to original coordinates: times scale, plus center."""


def moving(chain: Chain, model: TrainedDenoiser, n: int, generator: torch.Generator) -> Moving:
    """Return at most n points of the chain, evenly chosen, with the forward process to their start."""
    alpha, sigma = chain.alpha.numpy(), chain.sigma.numpy()
    every = chain.x.double().numpy()
    chosen = np.linspace(0, every.shape[1] - 1, min(n, every.shape[1])).round().astype(int)
    states = every[:, chosen] / np.hypot(alpha, sigma)[:, None, None]
    clean = model.density.sample(len(chosen), generator)[0].numpy()
    center = model.normalizer.center
    scale = model.picture_scale
    stretch = np.array(model.normalizer.scale) / scale
    return Moving(
        states * stretch,
        sigma / alpha,
        clean * stretch,
        states[0] * stretch,
        (model.some_points() - center) / scale,
        center,
        scale,
    )
