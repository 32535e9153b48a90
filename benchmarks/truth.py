"""How far from a formula's density is what is learnt, from the formula itself and from draws of it?

-E log q over fresh draws of the formula, less its entropy: 0 is the best there is. q is the truth that is
learnt, and then the model's own density, by its probability-flow ODE.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.common import Figures, Options, say, summary, table

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.learning import Task

TITLE = "The truth behind the points"

SHAPES = ("moons", "eight_gaussians")
READINGS: dict[str, dict[str, Any]] = {
    "the formula": {},
    "2,000 draws, data.bandwidth=auto": {"source.sampled": 2000, "data.bandwidth": "auto"},
    "2,000 draws, dots of 0.01": {"source.sampled": 2000},
}
_FRESH, _OF_MODEL = 100_000, 4096


def measure(options: Options) -> Figures:
    """Return shape -> reading -> nats beyond the entropy, of the truth and of the model, over seeds."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for shape in SHAPES:
        found[shape] = {}
        for reading, overrides in READINGS.items():
            runs = [
                beyond_entropy(shape, {**overrides, **options.shortened}, seed)
                for seed in options.held_out
            ]
            found[shape][reading] = {
                "truth": summary(truth for truth, _ in runs),
                "model": summary(model for _, model in runs),
            }
            say(f"truth: {shape}, {reading}: {runs[0][0]:.4f}, model {runs[0][1]:.4f}")
    return {"seeds": list(options.held_out), "nats": found}


def beyond_entropy(shape: str, overrides: dict[str, Any], seed: int) -> tuple[float, float]:
    """Return what truth and model of one training have beyond the entropy, in nats."""
    from benchmarks import learning

    given = {**overrides, "shape": shape, "seed": seed, "source.seed": seed}
    task = learning.make_task(learning.read_parameters("base", given))
    denoiser, _ = learning.learn(task, seed)
    x, logs = fresh_draws(task, _FRESH, seed)
    # At the same draws, so that the entropy's variance cancels.
    of_truth = logs - task.density.log_prob(x)
    of_model = logs[:_OF_MODEL] - learning.log_prob(task, denoiser, x[:_OF_MODEL])
    return of_truth.mean().item(), of_model.mean().item()


def fresh_draws(task: Task, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return n draws of the formula behind a task, (n, 2), and the formula's log-density there, (n,).

    Both in the task's model coordinates, float64; the density in nats.
    """
    import torch

    from benchmarks import learning
    from pointillist import diffusion

    shape = task.parameters.shape
    formula = learning.make_task(learning.read_parameters("base", {"shape": shape}))
    generator = diffusion.devices.generator(seed, "fresh draws")
    drawn, _ = formula.density.sample(n, generator)
    x = torch.from_numpy(task.model.normalizer.apply(formula.model.original(drawn)))
    wider = torch.tensor(task.model.normalizer.scale) / torch.tensor(formula.model.normalizer.scale)
    return x, formula.density.log_prob(drawn) + wider.prod().log()


def report(figures: Figures) -> Iterator[str]:
    """Yield a row for each shape and reading."""
    seeds = ", ".join(map(str, figures["seeds"]))
    yield f"-E log q less the entropy, nats: median [least, greatest] over seeds {seeds}."
    yield ""
    yield from table(
        ("shape", "learnt from", "the truth that is learnt", "the model"),
        (
            (shape, reading, *(_shown(values[who]) for who in ("truth", "model")))
            for shape, readings in figures["nats"].items()
            for reading, values in readings.items()
        ),
    )


def _shown(values: dict[str, float]) -> str:
    return f"{values['median']:.4f} [{values['min']:.4f}, {values['max']:.4f}]"
