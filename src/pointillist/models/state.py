"""The state of a training that is under way, and what was measured so far, as one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from pointillist.diffusion.training import State
from pointillist.errors import PointillistError
from pointillist.groups import flatten
from pointillist.models.tensors import Tensors
from pointillist.version import __version__

# What may change without changing what is learnt.
_FREE = (
    "training.steps",
    "training.until",
    "training.report_every",
    "training.checkpoint_seconds",
)


@dataclass
class Record:
    """What a training leaves behind beside its model."""

    history: list[dict[str, float]] = field(default_factory=list)
    """Step and metrics of every report."""
    weights_at: dict[int, torch.Tensor] = field(default_factory=dict)
    """Averaged weights by step, of the snapshots, in half precision."""
    resumed_from: list[str] = field(default_factory=list)
    """Versions of the interrupted trainings that this one continues, oldest first."""


def pack(state: State, record: Record, settings: Mapping[str, Any]) -> Tensors:
    """Turn a state into one file; `settings` are all that a training must have in common to go on."""
    columns = list(record.history[0]) if record.history else []
    rows = [[row[name] for name in columns] for row in record.history]
    return Tensors(
        {f"state.{name}": value.contiguous() for name, value in state.items()}
        | {f"weights_at.{step}": weights for step, weights in record.weights_at.items()}
        | {"history": torch.tensor(rows, dtype=torch.float64)},
        {
            "kind": "training_state",
            "columns": columns,
            "resumed_from": record.resumed_from,
            "settings": dict(settings),
            "package_version": __version__,
        },
    )


def unpack(file: Tensors) -> tuple[State, Record]:
    """Return the state of a file, and the record so far.

    Raises
    ------
    PointillistError
        If the file is of another kind or another version of the package.
    """
    try:
        if file.metadata["kind"] != "training_state":
            raise KeyError("training_state")
        columns = file.metadata["columns"]
        rows = file.tensors["history"].tolist()
        history = [dict(zip(columns, row, strict=True)) for row in rows]
        for row in history:
            row["step"] = int(row["step"])
        record = Record(
            history,
            {int(step): w for step, w in _below("weights_at.", file).items()},
            list(file.metadata["resumed_from"]),
        )
        return _below("state.", file), record
    except (KeyError, ValueError) as error:
        raise PointillistError(
            f"The state of the training, written by version {file.metadata.get('package_version')}, "
            f"does not fit version {__version__} ({error}). Train without resume=true."
        ) from None


def ends(file: Tensors) -> tuple[int, float | None]:
    """Return at how many steps, and at which bound, the training of a state was to end."""
    training = file.metadata["settings"]["training"]
    return int(training["steps"]), training.get("until")


def differences(file: Tensors, settings: Mapping[str, Any]) -> list[str]:
    """Say what of `settings` differs from those of an interrupted training, so that it can't go on."""
    there, here = flatten(file.metadata.get("settings", {})), flatten(settings)
    changed = [n for n in sorted({*there, *here} - {*_FREE}) if there.get(n) != here.get(n)]
    if "shape" in changed:
        return ["the points of the shape are others"]
    found = [f"{name}: {there.get(name)} there, {here.get(name)} now" for name in changed]
    if here["training.steps"] < there.get("training.steps", 0):
        steps = f"{there['training.steps']} there, {here['training.steps']} now"
        found.append(f"training.steps: {steps} (only more are allowed)")
    return found


def _below(prefix: str, file: Tensors) -> State:
    return {k.removeprefix(prefix): v for k, v in file.tensors.items() if k.startswith(prefix)}
