"""The reverse chain as one file that names the model and the samples it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import torch

from pointillist import __version__, shapes
from pointillist.artifacts.checkpoint import Checkpoint
from pointillist.datasets import Tensors
from pointillist.diffusion.config import Sampling
from pointillist.diffusion.samplers import Chain
from pointillist.errors import PointillistError


def pack(
    chain: Chain, denoiser: Tensors, samples: pd.DataFrame, sampling: Sampling, seed: int
) -> Tensors:
    """Turn a chain into the tensors and metadata of one file that names model and samples."""
    return Tensors(
        tensors={field.name: getattr(chain, field.name).contiguous() for field in fields(chain)},
        metadata={
            "kind": "reverse_chain",
            "shape": denoiser.metadata["shape"],
            "model_digest": denoiser.metadata["digest"],
            "model_version": denoiser.metadata.get("version"),
            "samples_digest": shapes.digest(samples.to_numpy()),
            "sampling": sampling.model_dump(mode="json"),
            "seed": seed,
            "package_version": __version__,
        },
    )


def unpack(file: Tensors) -> Chain:
    """Return the chain of its file.

    Raises
    ------
    PointillistError
        If the file is no reverse chain, or that of another version of the package.
    """
    if file.metadata.get("kind") != "reverse_chain":
        raise PointillistError(
            f"This file is not a reverse chain but {file.metadata.get('kind')!r}. Point the catalog "
            "entry 'reverse_chain' at one that the sample pipeline wrote."
        )
    try:
        return Chain(**{field.name: file.tensors[field.name] for field in fields(Chain)})
    except KeyError as error:
        raise PointillistError(
            f"The reverse chain, written by version {file.metadata.get('package_version')}, does not "
            f"fit version {__version__} (it has no {error}). Draw a new one: kedro run --pipelines "
            f"sample --params shape={file.metadata.get('shape')}"
        ) from None


def require_same_model(chain: Tensors, denoiser: Tensors, samples: pd.DataFrame) -> None:
    """Refuse to measure or draw samples beside a model that did not make them.

    Raises
    ------
    PointillistError
        With the way to bring the two together.
    """
    shape = denoiser.metadata["shape"]
    again = f"kedro run --pipelines sample --params shape={shape}"
    if chain.metadata["model_digest"] != denoiser.metadata["digest"]:
        raise PointillistError(
            f"The samples of {shape!r} were drawn by another model than the one loaded. Draw new "
            f"ones: {again}\nOr load theirs: --load-versions "
            f"denoiser:{chain.metadata['model_version']}"
        )
    if chain.metadata["samples_digest"] != shapes.digest(samples.to_numpy()):
        raise PointillistError(
            f"The samples and the reverse chain of {shape!r} come from different runs. Load one "
            f"version of both with --load-versions, or draw new ones: {again}"
        )


def view(file: Tensors, model: Checkpoint) -> tuple[np.ndarray, np.ndarray]:
    """Return the chain as one looks at it, and its noise ratios sigma / alpha.

    States (frames, n, 2) are divided by sqrt(alpha^2 + sigma^2), which keeps the cloud at about the
    size of the shape at every noise level, and taken to the coordinates of pictures.
    """
    chain = unpack(file)
    return _seen(chain.x, chain.alpha, chain.sigma, model), (chain.sigma / chain.alpha).numpy()


def forward_view(
    file: Tensors, model: Checkpoint, frames: np.ndarray, generator: torch.Generator
) -> np.ndarray:
    """Return fresh points of the truth, noised to the levels of the chain's `frames`, in the same view.

    One draw of points and one of noise serve all levels, (len(frames), n, 2) in those coordinates.
    """
    chain = unpack(file)
    index = torch.from_numpy(frames.copy())
    alpha, sigma = chain.alpha[index], chain.sigma[index]
    x0, _ = model.density.sample(chain.x.shape[1], generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    x = alpha[:, None, None] * x0 + sigma[:, None, None] * eps
    return _seen(x, alpha, sigma, model)


def _seen(
    x: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor, model: Checkpoint
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


def moving(chain: Chain, model: Checkpoint, n: int, generator: torch.Generator) -> Moving:
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
