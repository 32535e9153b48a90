"""The mathematics: torch only, no files, no Kedro, no MLflow.

Everything is written once for a Gaussian path ``x_t = alpha_t x_0 + sigma_t eps`` with the
posterior mean ``E[x_0 | x_t]`` as the common currency between networks, truth and samplers.
"""

from typing import TYPE_CHECKING

import lazy_loader

from pointillist import runtime

if TYPE_CHECKING:
    from pointillist.diffusion import (
        batches,
        chains,
        coarse,
        comparison,
        denoiser,
        density,
        devices,
        draws,
        embeddings,
        ensembles,
        fast,
        fields,
        floors,
        likelihood,
        metrics,
        objectives,
        optimizers,
        preconditioning,
        samplers,
        schedules,
        training,
        two_sample,
    )

runtime.configure()

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "bandwidths",
        "batches",
        "chains",
        "coarse",
        "comparison",
        "density",
        "denoiser",
        "devices",
        "draws",
        "embeddings",
        "ensembles",
        "fast",
        "fields",
        "floors",
        "likelihood",
        "metrics",
        "objectives",
        "optimizers",
        "preconditioning",
        "samplers",
        "schedules",
        "training",
        "two_sample",
    ],
)
