"""Learn any 2-D shape as a probability density and paint it out of noise, point by point.

As a library, without Kedro: what stands here is what a training and a sampling need.
"""

import os
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from pointillist.diffusion.chains import draw, reverse_chain
    from pointillist.diffusion.config import Network, Sampling, Schedule, Training
    from pointillist.diffusion.denoiser import Denoiser, exact_denoiser, fitted, initialize
    from pointillist.diffusion.density import GaussianMixture
    from pointillist.diffusion.ensembles import train_ensemble
    from pointillist.diffusion.schedules import make_path
    from pointillist.diffusion.training import train
    from pointillist.errors import PointillistError
    from pointillist.loading import load
    from pointillist.models import TrainedDenoiser
    from pointillist.shapes import Normalizer
    from pointillist.shapes.config import Source
    from pointillist.shapes.sources import load as load_shape
from pointillist.version import __version__

# Nothing phones home. `.telemetry` says the same to kedro-telemetry.
os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

_attribute, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "diffusion.denoiser": ["Denoiser", "exact_denoiser", "fitted", "initialize"],
        "diffusion.density": ["GaussianMixture"],
        "diffusion.chains": ["draw", "reverse_chain"],
        "diffusion.schedules": ["make_path"],
        "diffusion.ensembles": ["train_ensemble"],
        "diffusion.training": ["train"],
        "errors": ["PointillistError"],
        "diffusion.config": ["Network", "Sampling", "Schedule", "Training"],
        "shapes.config": ["Source"],
        "loading": ["load"],
        "models": ["TrainedDenoiser"],
        "shapes": ["Normalizer"],
    },
)
__all__ = [*__all__, "load_shape"]


def __getattr__(name: str) -> object:
    """Import a name when it is asked for (PEP 562); `load_shape` is `shapes.load`."""
    if name == "load_shape":
        from pointillist.shapes.sources import load

        return load
    return _attribute(name)
