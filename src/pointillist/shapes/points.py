"""The last check of any shape's points, whatever their source."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pointillist.errors import PointillistError
from pointillist.shapes.normalizer import Normalizer

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FEWEST, MOST = 3, 10_000_000
# The square of a larger coordinate is no longer a finite double.
GREATEST = 1e100
# A smaller share of the weight is 0 in single precision, or soon will be.
_LEAST_SHARE = 1e-30
# A mean over fewer says little.
_FEWEST_HELD_OUT = 10
# Draws that show a density.
_SHOWN = 4_000
HELD_OUT = "held_out"
_ENTRIES = {"xx": (0, 0), "xy": (0, 1), "yy": (1, 1)}
# Standardised points within this of a line are on it; coordinates may be off by some units in the
# last place besides.
_STRAIGHT, _ROUNDINGS = 1e-9, 8


def checked(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the points of `table`: columns x, y and, if it is there, weight, all float64.

    Points are neither added nor dropped, nor is their order changed; the index is 0 to N - 1. A
    weight of 0 is refused: the point adds nothing to the mixture, yet it would widen the shape that
    the normaliser sees, and dropping it would be a silent change.

    Parameters
    ----------
    table
        N rows in original coordinates; other columns are left out.
    source
        What the messages call the shape: its file or its name.

    Raises
    ------
    PointillistError
        If there are more than `MOST` points or fewer than `FEWEST` distinct ones, a coordinate is
        not finite or above `GREATEST` in size, a weight isn't a finite number above 0 or is nothing
        beside the others, or the points are too close together to tell apart. Rows are counted
        from 1.
    """
    import numpy as np
    import pandas as pd

    if missing := [axis for axis in "xy" if axis not in table]:
        raise PointillistError(f"{source} has no column {' and '.join(missing)}.")
    if len(table) > MOST:
        raise PointillistError(
            f"{source} has {len(table):,} points; at most {MOST:,} are taken. Keep a part of them."
        )
    points = pd.DataFrame(
        {
            name: pd.to_numeric(table[name], errors="coerce").to_numpy("float64", na_value=np.nan)
            for name in ("x", "y", "weight")
            if name in table
        }
    )
    for axis in "xy":
        _refuse(points[axis], points[axis].abs() <= GREATEST, source, wanted(axis))
    if "weight" in points:
        weight = points["weight"]
        _refuse(weight, (weight > 0) & (weight <= GREATEST), source, wanted("weight"))
        share = "there must be at least 1e-30 of all weight"
        _refuse(weight, weight >= _LEAST_SHARE * weight.sum(), source, share)
    places = points[["x", "y"]].to_numpy()
    distinct = _distinct(places)
    if distinct < FEWEST:
        raise PointillistError(
            f"{source} has {distinct} distinct point{'s' * (distinct != 1)}; a shape needs at least "
            f"{FEWEST}. Add points."
        )
    if not places.std(0).max() > 0:
        raise PointillistError(
            f"{source}: its points are too close together to tell apart. Scale them up."
        )
    return points


def wanted(column: str) -> str:
    """Say what a cell of `column` must hold: x, y or weight."""
    if column == "weight":
        return "a weight must be: a finite number above 0"
    return f"a finite number (at most {GREATEST:g} in size) must be"


def cure(count: int) -> str:
    """Say what to do about a bad row, of which there are `count`."""
    return f"Mend or delete the row{f' ({count:,} rows are like it)' * (count > 1)}."


def _refuse(values: pd.Series, good: pd.Series, source: str, must_be: str) -> None:
    """Name the first of `values` that isn't good."""
    if good.all():
        return
    row = int(good.argmin())
    value = values.iloc[row]
    shown = f"{value:g}" if value == value else "nothing or NaN"
    raise PointillistError(
        f"{source}, row {row + 1}, column {values.name}: {shown} where {must_be}. "
        f"{cure(int((~good).sum()))}"
    )


def _distinct(places: np.ndarray) -> int:
    """Count the distinct ones of `places` (N, 2) up to three."""
    found = 0
    while len(places) and found < 3:
        places = places[(places != places[0]).any(1)]
        found += 1
    return found


def flatness(table: pd.DataFrame) -> str | None:
    """Say that all points of `table` (columns x and y) lie on one line, or return None.

    Points are on a line if, standardised, they deviate from it by no more than rounding. Weights
    play no part.
    """
    import numpy as np

    points = table[["x", "y"]].to_numpy("float64")
    normalizer = Normalizer.fit(points)
    learnt = "what is learnt is that line, a bandwidth wide"
    standard = normalizer.apply(points)
    # Rounding of the coordinates as they were written, in model coordinates.
    rounding = _ROUNDINGS * (np.spacing(abs(points).max(0)) / normalizer.scale).max()
    off = standard.std(0)
    # What is left of the narrower axis beside its regression on the wider one.
    centred = standard - standard.mean(0)
    wide, narrow = centred[:, off.argmax()], centred[:, 1 - off.argmax()]
    slope = (wide @ narrow) / max(wide @ wide, np.finfo(float).tiny)
    aside = (narrow - slope * wide).std() / np.hypot(1, slope)
    tolerance = _STRAIGHT + rounding
    for axis, deviation in zip("xy", off, strict=True):
        if deviation <= tolerance:
            return f"{axis} is the same for all points: {learnt}."
    return f"all points lie on one line: {learnt}." if aside <= tolerance else None


def hold_out(table: pd.DataFrame, share: float, seed: int, source: str) -> pd.DataFrame:
    """Mark a share of the rows, chosen by the seed, in a column of its own.

    Rows at the same place stay together, or the model would have seen what it is asked about; so where
    many repeat, the share is a little more than was asked for.

    Raises
    ------
    PointillistError
        If fewer than ten places are held out, a mean over which would say little, or fewer than three
        are left.
    """
    import numpy as np

    place = table.groupby(["x", "y"], sort=False).ngroup().to_numpy()
    order = np.random.default_rng(seed).permutation(place.max() + 1)
    rows = np.bincount(place)[order]
    chosen = np.zeros(len(order), dtype=bool)
    chosen[order[rows.cumsum() - rows < round(share * len(table))]] = True
    n, left = int(chosen.sum()), int((~chosen).sum())
    if n < _FEWEST_HELD_OUT or left < FEWEST:
        needed, cure = (
            (f"a mean over fewer than {_FEWEST_HELD_OUT} says little", "Raise")
            if n < _FEWEST_HELD_OUT
            else (f"at least {FEWEST} must be left", "Lower")
        )
        raise PointillistError(
            f"data.held_out={share:g} holds out {n:,} of the {len(order):,} different points of "
            f"{source}; {needed}. {cure} it, or add points."
        )
    return table.assign(**{HELD_OUT: chosen[place]})


class Components(NamedTuple):
    """What a shape is made of: dots, or where there are covariances Gaussians."""

    points: np.ndarray
    """(N, 2), float64, original coordinates."""
    weights: np.ndarray | None = None
    """How much each counts, (N,); None: all alike."""
    covariances: np.ndarray | None = None
    """(N, 2, 2); None: each point is a dot, as wide as data.bandwidth says."""

    def table(self) -> pd.DataFrame:
        """Return columns x, y and, where they are there, weight and the covariances' xx, xy, yy."""
        import pandas as pd

        table = pd.DataFrame(self.points, columns=["x", "y"])
        if self.weights is not None:
            table["weight"] = self.weights
        if self.covariances is not None:
            for name, (i, j) in _ENTRIES.items():
                table[name] = self.covariances[:, i, j]
        return table

    def shown(self, most: int) -> np.ndarray:
        """Return points for a picture: the dots, at most so many of them, or draws of Gaussians."""
        import numpy as np

        if self.covariances is not None:
            return self.draw(min(most, _SHOWN), seed=0)
        if len(self.points) <= most:
            return self.points
        shares = None if self.weights is None else self.weights / self.weights.sum()
        chosen = np.random.default_rng(0).choice(len(self.points), most, replace=False, p=shares)
        return self.points[chosen]

    def draw(self, n: int, seed: int) -> np.ndarray:
        """Draw n points (n, 2) by chance: of the Gaussians, or of the dots themselves."""
        import numpy as np

        rng = np.random.default_rng(seed)
        shares = None if self.weights is None else self.weights / self.weights.sum()
        source = rng.choice(len(self.points), n, p=shares)
        if self.covariances is None:
            return self.points[source]
        variances, axes = np.linalg.eigh(self.covariances)
        roots = axes * np.sqrt(variances.clip(min=0))[:, None]
        noise = rng.standard_normal((n, 2))
        return self.points[source] + np.einsum("nij,nj->ni", roots[source], noise)


def split(table: pd.DataFrame, held_out: bool = False) -> Components:
    """Return what the rows of a shape's table are: those that are learnt, or those that are held out."""
    import numpy as np

    if HELD_OUT in table:
        table = table[table[HELD_OUT] == held_out]
    elif held_out:
        table = table[:0]
    weights = table["weight"].to_numpy(dtype="float64", copy=True) if "weight" in table else None
    covariances = None
    if set(_ENTRIES) <= set(table.columns):
        covariances = np.empty((len(table), 2, 2))
        for name, (i, j) in _ENTRIES.items():
            covariances[:, i, j] = covariances[:, j, i] = table[name]
    points = table[["x", "y"]].to_numpy(dtype="float64", copy=True)
    return Components(points, weights, covariances)
