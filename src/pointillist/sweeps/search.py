"""Where configurations come from: all at once, or one after the other from Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

    def __init__(self, sweep: Sweep, before: Sequence[Parameters] = ()) -> None:
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
        # With the same seed a search that goes on would ask again what it asked at first.
        seed = min(sweep.seeds) + len(before)
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32, constant_liar=True)
        self._study = optuna.create_study(direction=sweep.direction, sampler=sampler)
        self._open: dict[str, list[Any]] = {}
        self._before = list(before)[: sweep.trials]

    def ask(self) -> Parameters | None:
        """Return the next configuration to try; those of an earlier run of this sweep come first."""
        if self._left == 0:
            return None
        self._left -= 1
        if self._before:
            return self._before.pop(0)
        trial = self._study.ask()
        configuration = {name: _suggest(trial, name, r) for name, r in self._ranges.items()}
        self._open.setdefault(repr(configuration), []).append(trial)
        return configuration

    def tell(self, configuration: Parameters, value: float | None) -> None:
        """Let later configurations learn from this one."""
        state = self._optuna.trial.TrialState
        reached = state.FAIL if value is None else state.COMPLETE
        if not (asked := self._open.get(repr(dict(configuration)))):
            known = self._optuna.trial.create_trial(
                state=reached,
                value=value,
                params=dict(configuration),
                distributions={n: _distribution(self._optuna, r) for n, r in self._ranges.items()},
            )
            self._study.add_trial(known)
            return
        self._study.tell(asked.pop(), value, reached)


def _suggest(trial: Any, name: str, r: Range) -> Any:
    if r.choices is not None:
        return trial.suggest_categorical(name, r.choices)
    if r.whole:
        return trial.suggest_int(name, int(r.low or 0), int(r.high or 0), log=r.log)
    return trial.suggest_float(name, r.low, r.high, log=r.log)


def _distribution(optuna: Any, r: Range) -> Any:
    found = optuna.distributions
    if r.choices is not None:
        return found.CategoricalDistribution(r.choices)
    if r.whole:
        return found.IntDistribution(int(r.low or 0), int(r.high or 0), log=r.log)
    return found.FloatDistribution(r.low, r.high, log=r.log)


def _value(r: Range, recorded: str) -> Any:
    """Return a parameter's value from MLflow's words for it; `_FOREIGN` if it isn't of this range."""
    if r.choices is not None:
        return next((choice for choice in r.choices if str(choice) == recorded), _FOREIGN)
    try:
        found = float(recorded)
    except ValueError:
        return _FOREIGN
    if not (r.low or 0) <= found <= (r.high or 0):
        return _FOREIGN
    return int(found) if r.whole else found


_FOREIGN = object()


def _configurations(sweep: Sweep, recorded: Sequence[Mapping[str, str]]) -> list[Parameters]:
    """Return the configurations, each once, of trials whose parameters MLflow has."""
    ranges = sweep.search or {}
    found: list[Parameters] = []
    for parameters in recorded:
        values = {name: _value(r, parameters.get(name, "")) for name, r in ranges.items()}
        if _FOREIGN not in values.values() and values not in found:
            found.append(values)
    return found


def source_of(sweep: Sweep, recorded: Sequence[Mapping[str, str]] = ()) -> Source:
    """Return where the configurations of `sweep` come from.

    `recorded` are the parameters of trials that an earlier run of it finished: a search begins with
    those, and learns from them.
    """
    if sweep.search is None:
        return Listed(sweep.configurations())
    return Search(sweep, _configurations(sweep, recorded))
