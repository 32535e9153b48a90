"""Where configurations come from: all at once, or one after the other from Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from pointillist.errors import PointillistError
from pointillist.sweeps.plan import Parameters, Range, Sweep


class Source(Protocol):
    """Says what to try next, and is told what came of it."""

    def ask(self) -> Parameters | None:
        """Return the next configuration; None if there is none."""

    def tell(self, configuration: Parameters, value: float | None) -> None:
        """Take note of a configuration's metric, the mean over its seeds; None if it failed."""


class Listed:
    """Configurations that are known beforehand."""

    def __init__(self, configurations: Sequence[Parameters]) -> None:
        self._left: Iterator[Parameters] = iter(configurations)

    def ask(self) -> Parameters | None:
        """Return the next."""
        return next(self._left, None)

    def tell(self, configuration: Parameters, value: float | None) -> None:
        """Do nothing: what comes next doesn't depend on it."""


class Search:
    """Optuna's tree-structured Parzen estimator, asked and told (Bergstra et al. 2011)."""

    def __init__(self, sweep: Sweep) -> None:
        try:
            import optuna
        except ImportError:
            raise PointillistError(
                "A search needs Optuna, the extra sweep: pip install --constraint requirements.lock "
                "--editable '.[sweep]'"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna: Any = optuna
        self._ranges, self._left = sweep.search or {}, sweep.trials
        sampler = optuna.samplers.TPESampler(seed=min(sweep.seeds), constant_liar=True)
        self._study = optuna.create_study(direction=sweep.direction, sampler=sampler)
        self._open: dict[str, list[Any]] = {}

    def ask(self) -> Parameters | None:
        """Return the next configuration to try."""
        if self._left == 0:
            return None
        self._left -= 1
        trial = self._study.ask()
        configuration = {name: _suggest(trial, name, r) for name, r in self._ranges.items()}
        self._open.setdefault(repr(configuration), []).append(trial)
        return configuration

    def tell(self, configuration: Parameters, value: float | None) -> None:
        """Let later configurations learn from this one."""
        trial = self._open[repr(dict(configuration))].pop()
        state = self._optuna.trial.TrialState
        self._study.tell(trial, value, state.FAIL if value is None else state.COMPLETE)


def _suggest(trial: Any, name: str, r: Range) -> Any:
    if r.choices is not None:
        return trial.suggest_categorical(name, r.choices)
    if r.whole:
        return trial.suggest_int(name, int(r.low or 0), int(r.high or 0), log=r.log)
    return trial.suggest_float(name, r.low, r.high, log=r.log)


def source_of(sweep: Sweep) -> Source:
    """Return where the configurations of `sweep` come from."""
    return Search(sweep) if sweep.search is not None else Listed(sweep.configurations())
