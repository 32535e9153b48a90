"""What each configuration painted after some steps of its training, from the same noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pointillist.models import ReverseChain, Snapshots, TrainedDenoiser
from pointillist.sweeps.plan import ENV, LABEL, said
from pointillist.sweeps.worker import Outcome

if TYPE_CHECKING:
    from pointillist.rendering.sweeps import Row

_MOST_ROWS, _COLUMNS = 12, 6


def rows(project: Path, outcomes: Sequence[Outcome]) -> list[Row]:
    """Return a row for each configuration, in the order in which they were asked for; at most twelve.

    Where a sweep varies the sampler each is drawn by its own; otherwise all by the same few steps along
    the flow, so that the networks alone differ.

    Raises
    ------
    PointillistError
        If a model or its snapshots can't be read.
    """
    from pointillist.rendering import views
    from pointillist.rendering.sweeps import Row

    firsts: dict[str, Outcome] = {}
    for outcome in outcomes:
        name = repr(dict(outcome.trial.configuration))
        if outcome.version and "train" in outcome.trial.pipelines:
            firsts.setdefault(name, outcome)
    found = []
    for outcome in list(firsts.values())[:_MOST_ROWS]:
        taken = _file(project, "training_snapshots.safetensors", outcome.version)
        trained = _file(project, "denoiser.safetensors", outcome.version)
        if taken is None or trained is None:
            continue
        snapshots, model = Snapshots.read(taken), TrainedDenoiser.read(trained)
        chain, sampling = _file(project, "reverse_chain.safetensors", outcome.version), None
        varied = outcome.trial.configuration
        if chain is not None and any(n == ENV or n.startswith("sampling.") for n in varied):
            sampling = ReverseChain.read(chain).sampling
        steps, clouds = views.snapshot_samples(snapshots, model, 0, sampling)
        chosen = [round(k * (len(steps) - 1) / (_COLUMNS - 1)) for k in range(_COLUMNS)]
        kept = list(dict.fromkeys(chosen))
        words = str(varied.get(LABEL) or ", ".join(said(varied)).replace("=", " = "))
        found.append(Row(words, clouds[kept], [steps[k] for k in kept], model.ghosts()))
    return found


def _file(project: Path, name: str, version: str) -> Path | None:
    return next((project / "data").glob(f"0[67]_*/*/{name}/{version}/{name}"), None)
