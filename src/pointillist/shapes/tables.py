"""Points from a table in a file: CSV and its kin, Parquet, JSON, NumPy arrays."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.errors import PointillistError
from pointillist.shapes import delimited
from pointillist.shapes.columns import Wanted, choose, shown
from pointillist.shapes.points import MOST, checked

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

logger = logging.getLogger(__name__)

SUFFIXES: tuple[str, ...] = (".csv", ".tsv", ".txt", ".parquet", ".json", ".npy")


def read(path: Path, wanted: Wanted | None = None) -> pd.DataFrame:
    """Return the points of a file by its suffix: columns x, y and perhaps weight, float64, checked.

    Every row is a point, duplicates too. Columns are those `wanted`, are found by name, whatever its
    case, or are the only two that hold numbers (`columns.choose`).

    Raises
    ------
    PointillistError
        If the file can't be read or isn't a table of points (`points.checked`); it names file, row,
        column and cure.
    """
    readers = {".parquet": _parquet, ".json": _json, ".npy": _npy}
    try:
        if reader := readers.get(path.suffix.lower()):
            table = reader(path, wanted)
        else:
            table = delimited.read(path, path.read_bytes(), wanted)
    except OSError as error:
        raise PointillistError(f"{path} can't be read: {error.strerror or error}.") from None
    return checked(table, str(path))


def _parquet(path: Path, wanted: Wanted | None = None) -> pd.DataFrame:
    """Read the columns of points of a Parquet file, and no others."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            fields = list(file.schema_arrow)
            numeric = [_is_number(field.type) for field in fields]
            columns = choose([field.name for field in fields], numeric, str(path), wanted)
            for role, i in columns.items():
                if not numeric[i]:
                    first = next(file.iter_batches(1, columns=[fields[i].name]), [[None]])[0][0]
                    raise _no_numbers(path, role, first, fields[i].type)
            if file.metadata.num_rows > MOST:
                raise PointillistError(
                    f"{path} has {file.metadata.num_rows:,} rows; at most {MOST:,} are taken."
                )
            names = [fields[i].name for i in columns.values()]
            if len(set(names)) < len(names):
                raise PointillistError(
                    f"{path} has two columns named {shown(names[0])}. Name them x and y."
                )
            table = file.read(columns=names)
            return pd.DataFrame(
                {
                    role: table.column(name).cast(pa.float64(), safe=False).to_numpy()
                    for role, name in zip(columns, names, strict=True)
                }
            )
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise
        raise _corrupt(path, "a Parquet file", error) from None


def _is_number(kind: Any) -> bool:
    import pyarrow.types as t

    return t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind)


def _npy(path: Path, wanted: Wanted | None = None) -> pd.DataFrame:
    """Read an array (N, 2), (N, 3) with weights third, or (N,) with named fields; never a pickle.

    The file is mapped into memory, so that a header that claims more than the file holds is
    refused rather than given the memory.
    """
    import warnings

    import numpy as np

    try:
        with warnings.catch_warnings():
            # Headers that Python 2 wrote are read as well as others.
            warnings.simplefilter("ignore", UserWarning)
            values = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # the header is parsed as Python, and fails as Python does
        raise _corrupt(path, "an array of numbers in NumPy's format", error) from None
    if values.dtype.names:
        if values.ndim == 1:
            return _fields(values, path, wanted)
    elif values.dtype.kind not in "iuf":
        raise PointillistError(
            f"{path} is of type {shown(str(values.dtype))}. It must hold numbers."
        )
    elif values.ndim == 2 and values.shape[1] in (2, 3):
        if values.shape[1] == 3:
            _refuse_no_weights(values[:, 2], path)
            logger.warning("%s has three columns: the third is taken for weights.", path)
        return _frame(dict(zip(("x", "y", "weight"), values.T, strict=False)), path)
    hint = " Transpose it." if values.ndim == 2 and values.shape[0] in (2, 3) else ""
    raise PointillistError(
        f"{path} has shape {values.shape}. It must be (N, 2), or (N, 3) with weights third.{hint}"
    )


def _fields(values: np.ndarray, path: Path, wanted: Wanted | None) -> pd.DataFrame:
    """Take the columns of points of an array (N,) with named fields."""
    names = list(values.dtype.names or ())
    numeric = [values.dtype[name].kind in "iuf" for name in names]
    columns = choose(names, numeric, str(path), wanted)
    for role, i in columns.items():
        if not numeric[i]:
            first = next(values[names[i]].flat, None)
            raise _no_numbers(path, role, first, values.dtype[names[i]])
    return _frame({role: values[names[i]] for role, i in columns.items()}, path)


def _refuse_no_weights(third: np.ndarray, path: Path) -> None:
    """Refuse a third column that is below 0 or 0 somewhere: it may be z, and has no name to say so."""
    bad = (third <= 0).nonzero()[0]
    if len(bad):
        raise PointillistError(
            f"{path}, row {bad[0] + 1}: {third[bad[0]]:g} in the third column, which is taken for "
            "weights, finite numbers above 0.\nIf it is z, save the others alone: "
            "numpy.save(path, points[:, :2]). If not, mend or delete the row."
        )


def _frame(columns: dict[str, np.ndarray], path: Path) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    if len(columns["x"]) > MOST:
        raise PointillistError(
            f"{path} has {len(columns['x']):,} rows; at most {MOST:,} are taken."
        )
    with np.errstate(over="ignore"):
        return pd.DataFrame({name: np.array(v, np.float64) for name, v in columns.items()})


class _RepeatedKeyError(ValueError):
    """A JSON object that has a name twice."""


def _json(path: Path, wanted: Wanted | None = None) -> pd.DataFrame:
    """Read [[x, y], …], [{"x": …, "y": …}, …] or {"x": […], "y": […]}, and what pandas makes of it."""
    text = delimited.decoded(path.read_bytes(), str(path))
    try:
        content = _unsplit(json.loads(text, parse_int=float, object_pairs_hook=_object), path)
    except RecursionError:
        raise PointillistError(f"{path} is nested too deep. {_JSON_FORMS}") from None
    except json.JSONDecodeError as error:
        raise PointillistError(
            f"{path}, line {error.lineno}, column {error.colno} is not JSON: {error.msg}. "
            f"{_JSON_FORMS}"
        ) from None
    except _RepeatedKeyError as error:
        raise PointillistError(
            f"{path} has the name {error} twice in one object. Rename all but one."
        ) from None
    if isinstance(content, list) and content:
        if type(content[0]) is not dict:
            return _from_pairs(content, path)
        content = _by_column(content, path)
    if isinstance(content, dict) and content:
        return _from_columns(content, path, wanted)
    raise PointillistError(f"{path} has no points. {_JSON_FORMS}")


_JSON_FORMS = 'Write [[x, y], …], [{"x": …, "y": …}, …] or {"x": […], "y": […]}.'


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(repr(shown(next(n for n in names if names.count(n) > 1))))
    return members


def _unsplit(content: Any, path: Path) -> Any:
    """Return by column what pandas writes with orient="split", names apart from rows; else `content`."""
    if not isinstance(content, dict) or not content.keys() >= {"columns", "data"}:
        return content
    names, rows = content["columns"], content["data"]
    if not (isinstance(names, list) and isinstance(rows, list)):
        return content
    for row, item in enumerate(rows, 1):
        if type(item) is not list or len(item) != len(names):
            raise PointillistError(
                f"{path}, row {row} of data: {_held(item)} where a list of {len(names)} must be, as "
                "many as columns. Mend or delete the row."
            )
    return _object([(str(name), [row[i] for row in rows]) for i, name in enumerate(names)])


def _from_pairs(content: Sequence[Any], path: Path) -> pd.DataFrame:
    for row, item in enumerate(content, 1):
        if type(item) is not list or len(item) != 2:
            raise PointillistError(
                f"{path}, row {row}: {_held(item)} where a pair [x, y] must be. {_JSON_FORMS}"
            )
    x, y = zip(*content, strict=True)
    return _json_table({"x": x, "y": y}, path)


def _by_column(content: Sequence[Any], path: Path) -> dict[str, Any]:
    """Return the values of objects, one a row, by name; None where an object has none."""
    for row, item in enumerate(content, 1):
        if type(item) is not dict:
            raise PointillistError(
                f"{path}, row {row}: {_held(item)} where an object must be, as in the first row. "
                f"{_JSON_FORMS}"
            )
    names = dict.fromkeys(name for item in content for name in item)
    return {name: [item.get(name) for item in content] for name in names}


def _from_columns(content: dict[str, Any], path: Path, wanted: Wanted | None) -> pd.DataFrame:
    """Take columns as lists or, as pandas writes them, as objects by row label."""
    names = list(content)
    values = [list(v.values()) if isinstance(v, dict) else v for v in content.values()]
    numeric = [
        isinstance(v, list)
        and type(next((value for value in v if value is not None), None)) is float
        for v in values
    ]
    chosen = choose(names, numeric, str(path), wanted)
    for role, i in chosen.items():
        if not isinstance(values[i], list):
            raise PointillistError(
                f"{path}, column {role}: {_held(values[i])} where a list must be. {_JSON_FORMS}"
            )
    columns = [content[names[i]] for i in chosen.values()]
    labels = [set(c) if isinstance(c, dict) else None for c in columns]
    lengths = {role: len(values[i]) for role, i in chosen.items()}
    if len(set(lengths.values())) > 1 or any(label != labels[0] for label in labels):
        found = ", ".join(f"{role} {length:,}" for role, length in lengths.items())
        raise PointillistError(
            f"{path} has columns whose rows don't match (values in {found}). "
            "Give every row a value in each."
        )
    order = next((list(c) for c in columns if isinstance(c, dict)), None)
    rows = [[c[label] for label in order] if order else c for c in columns]
    return _json_table(dict(zip(chosen, rows, strict=True)), path)


def _json_table(columns: dict[str, Sequence[Any]], path: Path) -> pd.DataFrame:
    """Check that all values are numbers."""
    import pandas as pd

    for role, column in columns.items():
        bad = [row for row, value in enumerate(column) if type(value) is not float]
        if bad:
            like = f" ({len(bad):,} rows are like it)" if len(bad) > 1 else ""
            raise PointillistError(
                f"{path}, row {bad[0] + 1}, column {role}: {_held(column[bad[0]])} where a number "
                f"must be. Mend or delete the row{like}."
            )
    return pd.DataFrame(columns, dtype="float64")


def _held(value: Any) -> str:
    """Return the beginning of `value` as JSON."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return shown(json.dumps(value, ensure_ascii=False))


def _no_numbers(path: Path, role: str, first: Any, kind: Any) -> PointillistError:
    """Return the refusal of a column of labels or the like."""
    return PointillistError(
        f"{path}, column {role} is of type {shown(str(kind))}, with {shown(str(first))!r} in row 1. It "
        f"must hold numbers.\nSave it as numbers, or name another column: --params source.{role}=NAME"
    )


def _corrupt(path: Path, what: str, error: BaseException) -> PointillistError:
    """Return the refusal of a file that isn't `what` its suffix says."""
    reason = next(iter(str(error).strip().splitlines()), "")
    reason = shown(reason or type(error).__name__, 160).rstrip(".")
    return PointillistError(
        f"{path} is not {what}, or is damaged: {reason}.\n"
        "Save it anew, or as a CSV with columns x,y."
    )
