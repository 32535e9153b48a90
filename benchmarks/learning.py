"""Train, sample and measure in this process, step by step as the nodes of `kedro run` do.

On the CPU, unless a device is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.common import PROJECT
from pointillist import diffusion, models, runtime, shapes
from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import DTYPE, Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.ensembles import train_ensemble
from pointillist.diffusion.training import TrainingReport, train
from pointillist.groups import nested
from pointillist.parameters import Parameters, validate
from pointillist.pipelines.ingest.nodes import collect_points
from pointillist.shapes.points import split

Train = Callable[[Denoiser, GaussianMixture, Training, torch.Generator], Iterator[TrainingReport]]
"""What `training.train` is: it trains the denoiser in place."""


@dataclass(frozen=True)
class Task:
    """A recipe and the truth it is to learn: what is in hand when training begins."""

    parameters: Parameters
    density: GaussianMixture
    """Model coordinates, float64."""
    model: models.TrainedDenoiser
    """The shape's points and normaliser, with a denoiser that has learnt nothing."""


def read_parameters(env: str, overrides: Mapping[str, Any]) -> Parameters:
    """Read conf/ as Kedro merges it for `--env` and `--params`; `base` is the defaults alone."""
    from kedro.config import OmegaConfigLoader

    from pointillist.settings import CONFIG_LOADER_ARGS

    arguments: dict[str, Any] = {**CONFIG_LOADER_ARGS, "runtime_params": nested(overrides)}
    loader = OmegaConfigLoader(str(PROJECT / "conf"), env=env, **arguments)
    return validate(loader["parameters"])


def make_task(parameters: Parameters) -> Task:
    """Find the shape; set the threads that its training uses."""
    runtime.use_threads(parameters.threads)
    data, source = parameters.data, parameters.source
    found = shapes.find(parameters.shape, PROJECT / "data" / "01_raw", parameters.shape_file)
    placed = collect_points(shapes.read(found), source, data, parameters.seed, None, None, 256.0)
    parts = split(placed)
    normalizer = shapes.Normalizer.fit(
        parts.points, data.center, data.scale, parts.weights, parts.covariances
    )
    density = models.denoiser.make_density(parts, normalizer, data)
    groups = {"data": data.model_dump(mode="json")}
    model = models.TrainedDenoiser(
        denoiser=untrained(parameters, density, 0),
        points=parts.points,
        weights=parts.weights,
        covariances=parts.covariances,
        normalizer=normalizer,
        shape=parameters.shape,
        parameters=groups,
    )
    return Task(parameters, density, model)


def untrained(parameters: Parameters, density: GaussianMixture, seed: int) -> Denoiser:
    """Return the denoiser with which training begins."""
    path = diffusion.schedules.make_path(parameters.schedule)
    network = diffusion.denoiser.fitted(parameters.network, density)
    return diffusion.denoiser.initialize(network, path, seed)


def reports(
    task: Task, seed: int, train: Train = train, device: torch.device | str = "cpu"
) -> tuple[Denoiser, Iterator[TrainingReport]]:
    """Return a denoiser and the iterator that trains it."""
    denoiser = untrained(task.parameters, task.density, seed).to(device)
    density = task.density.to(device, DTYPE)
    generator = diffusion.devices.generator(seed, "train", device)
    return denoiser, train(denoiser, density, task.parameters.training, generator)


def learn(
    task: Task, seed: int, train: Train = train, device: torch.device | str = "cpu"
) -> tuple[Denoiser, float]:
    """Train; return the denoiser and the seconds from parameters and density to last weights."""
    started = time.perf_counter()
    denoiser, steps = reports(task, seed, train, device)
    for _ in steps:
        pass
    seconds = time.perf_counter() - started
    return denoiser.eval().requires_grad_(False), seconds


def learn_ensemble(
    tasks: Sequence[Task], seeds: Sequence[int], device: torch.device | str = "cpu"
) -> list[Denoiser]:
    """Train a denoiser for each task, of one recipe, and its seed: all of them as one ensemble."""
    pairs = list(zip(tasks, seeds, strict=True))
    denoisers = [untrained(task.parameters, task.density, s).to(device) for task, s in pairs]
    densities = [task.density.to(device, DTYPE) for task in tasks]
    generators = [diffusion.devices.generator(seed, "train", device) for seed in seeds]
    for _ in train_ensemble(denoisers, densities, tasks[0].parameters.training, generators):
        pass
    return [denoiser.eval().requires_grad_(False) for denoiser in denoisers]


def score(task: Task, denoiser: Denoiser, seed: int) -> dict[str, float]:
    """Sample as the recipe says; return the distances to the truth that `kedro run` reports."""
    sampling, evaluation = task.parameters.sampling, task.parameters.evaluation
    generator = diffusion.devices.generator(seed, "sample")
    drawn = diffusion.chains.draw(denoiser, task.density, sampling, generator)
    generator = diffusion.devices.generator(seed, "evaluate")
    model = task.model
    return diffusion.metrics.compare(
        model.standardize(model.original(drawn[: evaluation.n_eval])),
        model.standardized_density,
        floor_draws=evaluation.floor_draws,
        projections=evaluation.projections,
        generator=generator,
    )


def log_prob(task: Task, denoiser: Denoiser, x: torch.Tensor) -> torch.Tensor:
    """Return the log-density of x (n, 2) by the probability-flow ODE, (n,), float64.

    Nats, in the task's model coordinates.
    """
    path, density = denoiser.path, task.density
    frame = diffusion.likelihood.Frame.of(density)
    levels = diffusion.likelihood.ode_levels(path, task.parameters.evaluation.ode_steps, frame)
    start = diffusion.chains.start_distribution(density, path, "moments")
    return diffusion.likelihood.ode_log_probs(denoiser, x, levels, start, frame)


def bound(task: Task, denoiser: Denoiser, seed: int) -> tuple[float, float]:
    """Return kl_bound_nats and its standard error."""
    sampling, evaluation = task.parameters.sampling, task.parameters.evaluation
    device = next(denoiser.parameters()).device
    found = diffusion.likelihood.kl_bound(
        diffusion.devices.reached_from_cpu(denoiser, device),
        task.density,
        denoiser.path,
        diffusion.chains.start_distribution(
            task.density, denoiser.path, sampling.start, sampling.sigma_max
        ),
        nodes=evaluation.noise_levels,
        draws=evaluation.risk_draws,
        error=evaluation.bound_error,
        generator=diffusion.devices.generator(seed, "evaluate"),
    )
    return found.nats, found.standard_error
