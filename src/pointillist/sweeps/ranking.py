"""What came out: one row a configuration, the best first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pointillist.sweeps.plan import Sweep
from pointillist.sweeps.worker import Outcome

if TYPE_CHECKING:
    import pandas as pd

OTHERS = ("kl_bound_nats", "kl_ode_nats", "sw2", "off_manifold", "nn95", "tv", "c2st")


def ranked(sweep: Sweep, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return the configurations by the mean of the metric over their seeds.

    Columns: rank; the parameters that vary; seeds (how many were finished); for the metric and the
    usual others NAME, its mean, and NAME_std, its standard deviation over seeds (nan for one); NAME_floor
    where there is one; seconds of a trial.
    """
    import pandas as pd

    groups: dict[str, list[Outcome]] = {}
    # A search may ask for the same again: that is no further evidence.
    for outcome in {outcome.trial.key: outcome for outcome in outcomes}.values():
        groups.setdefault(repr(dict(outcome.trial.configuration)), []).append(outcome)
    rows = []
    for members in groups.values():
        done = [member for member in members if not member.failed]
        # A list or null is a value like others.
        row: dict[str, object] = {
            name: value
            if isinstance(value, (str, int, float))
            else "null"
            if value is None
            else str(value)
            for name, value in members[0].trial.configuration.items()
        }
        row["seeds"] = len(done)
        for name in dict.fromkeys((sweep.metric, *OTHERS)):
            values = [m.metrics[name] for m in done if name in m.metrics]
            if not values:
                if name == sweep.metric:
                    row |= {name: math.nan, f"{name}_std": math.nan}
                continue
            series = pd.Series(values)
            row |= {name: series.mean(), f"{name}_std": series.std()}
            floors = [m.metrics[f"{name}_floor"] for m in done if f"{name}_floor" in m.metrics]
            if floors:
                row[f"{name}_floor"] = sum(floors) / len(floors)
        row["seconds"] = sum(m.seconds for m in members) / len(members)
        rows.append(row)
    table = pd.DataFrame(rows).sort_values(
        sweep.metric, ascending=sweep.direction == "minimize", na_position="last", ignore_index=True
    )
    table.insert(0, "rank", range(1, len(table) + 1))
    return table


def mean_of(sweep: Sweep, outcomes: Sequence[Outcome]) -> float | None:
    """Return the mean of the metric over a configuration's seeds; None if one of them failed."""
    values = [outcome.metrics.get(sweep.metric, math.nan) for outcome in outcomes]
    mean = sum(values) / len(values)
    return mean if math.isfinite(mean) else None


def best_metrics(table: pd.DataFrame) -> Mapping[str, float]:
    """Return the metrics of the first row, as the parent run records them."""
    first = table.iloc[0]
    return {
        name: float(first[name])
        for name in OTHERS
        if name in table.columns and math.isfinite(first[name])
    }
