"""Where shapes come from: a person's file, the folder data/01_raw, the installed Data Morph package.

Data Morph (https://github.com/stefmolin/data-morph) ships twelve shapes as CSV files. They are read
from the installed package, whose code is not run: importing it would import matplotlib.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.errors import PointillistError, nearest

if TYPE_CHECKING:
    import pandas as pd

_DATA_MORPH = {
    "bunny": "bunny.csv",
    "cat": "cat.csv",
    "dino": "dino.csv",
    "dog": "dog.csv",
    "gorilla": "gorilla.csv",
    "music": "music.csv",
    "panda": "panda.csv",
    "pi": "pi.csv",
    "Python": "python.csv",
    "SDS": "superdatascience.csv",
    "sheep": "sheep.csv",
    "soccer": "soccer_ball.csv",
}
_FEWEST_POINTS, _MOST_POINTS = 2, 10_000_000
# The square of a larger coordinate is no longer a finite double.
_GREATEST = 1e100


def names() -> tuple[str, ...]:
    """Return the names of the Data Morph shapes."""
    return tuple(_DATA_MORPH)


def canonical_name(name: str) -> str:
    """Return the spelling of a Data Morph shape, whatever its case; other names as they are."""
    return {known.lower(): known for known in _DATA_MORPH}.get(name.lower(), name)


def shape_of(shape: Any, shape_file: Any, text: Any, default: Any) -> str:
    """Name the shape of a run: the name given, else the file's stem, else the word, else the default.

    The configuration resolves names with it before anything is validated, so it takes any value.
    """
    if shape not in (None, ""):
        return canonical_name(str(shape))
    for given in (Path(str(shape_file)).stem if shape_file not in (None, "") else "", text):
        if given not in (None, ""):
            name = re.sub(r"[^A-Za-z0-9_.-]+", "_", str(given)).lstrip(".-")
            return name[:64] or "shape"
    return str(default)


def locate(shape: str, shape_file: str | Path | None, folder: Path) -> Path:
    """Find the file of a shape: `shape_file`, then `folder`/NAME.csv, then the Data Morph package.

    Raises
    ------
    PointillistError
        If there is none; it names the known shapes and where to put one's own.
    """
    if shape_file is not None:
        path = Path(shape_file).expanduser()
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise PointillistError(
                f"The shape_file {str(shape_file)!r} {what}. Give the path of a CSV file with "
                "columns x,y."
            )
        return path
    own = folder / f"{shape}.csv"
    if own.resolve().parent == folder.resolve() and own.is_file():
        return own
    if file := _DATA_MORPH.get(canonical_name(shape)):
        return _data_morph_folder() / file
    known = sorted({*names(), *(p.stem for p in folder.glob("*.csv"))}, key=str.lower)
    raise PointillistError(
        f"Shape {shape!r} is unknown.{nearest(shape, known)} Known: {', '.join(known)}.\n"
        f"Put your own at data/01_raw/{shape}.csv (columns x,y), or pass --params shape_file=PATH."
    )


@cache
def _data_morph_folder() -> Path:
    spec = find_spec("data_morph")
    if spec is None or spec.origin is None:
        raise PointillistError(
            "The package data-morph-ai, which ships the shapes, is not installed."
        )
    return Path(spec.origin).parent / "data" / "starter_shapes"


def load(shape: str, shape_file: str | Path | None, folder: Path) -> pd.DataFrame:
    """Return the points of a shape in original coordinates: columns x and y, float64.

    Raises
    ------
    PointillistError
        If there is no such shape, or its file is not a table of points; one line that names file,
        row and cure.
    """
    import pandas as pd

    path = locate(shape, shape_file, folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # Blank lines are kept for now, so that a row's number is that of its line.
            table = pd.read_csv(
                path, skipinitialspace=True, index_col=False, skip_blank_lines=False
            )
    except pd.errors.EmptyDataError:
        raise PointillistError(
            f"{path} is empty. It needs a header x,y and a row a point."
        ) from None
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise PointillistError(
            f"{path} is not a CSV table: {reason}. It needs a header x,y and a row a point."
        ) from None
    except pd.errors.ParserWarning:
        raise PointillistError(
            f"{path} has rows with more cells than its first line, which must name every column "
            "(x,y), separated by commas."
        ) from None
    except OSError as error:
        raise PointillistError(f"{path} can't be read: {error.strerror}.") from None
    return _points(table.dropna(how="all"), path)


def _points(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Check the table of a file and keep its points."""
    import numpy as np
    import pandas as pd

    by_name = {str(column).strip().lower(): column for column in table.columns}
    if missing := [axis for axis in "xy" if axis not in by_name]:
        found = ", ".join(str(column) for column in table.columns)
        hint = " Separate the columns with commas." if ";" in found or "\t" in found else ""
        raise PointillistError(
            f"{path} has no column {' and '.join(missing)} (found: {found}). Its first line must "
            f"be x,y.{hint}"
        )
    points = pd.DataFrame(index=table.index)
    for axis in "xy":
        column = table[by_name[axis]]
        numbers = pd.to_numeric(column, errors="coerce").astype("float64")
        bad = np.flatnonzero(~(numbers.abs() <= _GREATEST))
        if len(bad):
            value = column.iloc[bad[0]]
            shown = "nothing" if value != value else repr(str(value))
            # The header is line 1.
            raise PointillistError(
                f"{path}, line {table.index[bad[0]] + 2}, column {axis}: {shown} where a finite "
                f"number (at most {_GREATEST:g}) must be. "
                f"Mend or delete the row{f' ({len(bad)} rows are like it)' if len(bad) > 1 else ''}."
            )
        points[axis] = numbers
    if len(points) > _MOST_POINTS:
        raise PointillistError(
            f"{path} has {len(points)} points; at most {_MOST_POINTS} are taken."
        )
    if len(points.drop_duplicates()) < _FEWEST_POINTS:
        raise PointillistError(
            f"{path} has {len(points.drop_duplicates())} distinct points; a shape needs at least "
            f"{_FEWEST_POINTS}."
        )
    if not points.std(ddof=0).max() > 0:
        raise PointillistError(f"{path}: its points are too close together to tell them apart.")
    return points.reset_index(drop=True)
