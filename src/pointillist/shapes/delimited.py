"""Points from CSV and its kin: text, a row a line, cells between separators."""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.errors import PointillistError
from pointillist.shapes import layout
from pointillist.shapes.columns import Wanted, shown
from pointillist.shapes.layout import Layout
from pointillist.shapes.points import GREATEST, cure
from pointillist.shapes.points import wanted as required

if TYPE_CHECKING:
    import pandas as pd

_NEWLINE = re.compile(rb"\r\n|\n|\r")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# The marks of UTF-32 begin with those of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# How pandas says, counting rows, that one has too many cells or a quote that stays open.
_UNPARSED = re.compile(
    r"in line (?P<line>\d+), saw (?P<cells>\d+)|string starting at row (?P<start>\d+)"
)


def decoded(content: bytes, source: str) -> str:
    """Return `content` as text: UTF-8, or what the byte order mark says.

    Raises
    ------
    PointillistError
        If it is empty, binary, or not in that encoding; it names line and byte.
    """
    mark, encoding = next((m for m in _MARKS if content.startswith(m[0])), (b"", "utf-8"))
    content = content[len(mark) :]
    empty = PointillistError(f"{source} is empty. It needs a row a point, under a header x,y.")
    binary = PointillistError(
        f"{source} is binary, not text. Save it as text in UTF-8, a row a point, under a header x,y."
    )
    if encoding == "utf-8" and b"\0" in content:
        raise binary
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-8" and _CONTROL.search(content, 0, 4096):
            raise binary from None
        before = content[: error.start].decode(encoding, "replace")
        line = len(_NEWLINE.findall(before.encode("utf-8", "replace"))) + 1
        raise PointillistError(
            f"{source}, line {line}: byte 0x{content[error.start]:02x} (byte "
            f"{len(mark) + error.start + 1} of the file) is not {encoding[:6].upper()}. "
            "Save the file as UTF-8."
        ) from None
    if "\0" in text:
        raise binary
    if text.isspace() or not text:
        raise empty
    return text


def read(path: Path, content: bytes, wanted: Wanted | None = None) -> pd.DataFrame:
    """Return the points in the `content` of a CSV, TSV or text file: columns x, y and perhaps weight.

    Cells are separated by tabs, semicolons, commas or, where there is none of them, blanks. The
    first line is a header if it names x and y, or if it has words where the columns below it have
    numbers. Lines before it that begin with # are comments; if the last of them names x and y and
    there is no other header, it is the header. Rows that hold no two numbers above a header that names
    x and y are a title, and left out. Blank lines, and rows with nothing in them, are skipped; so is
    nothing else. Numbers may be quoted. A comma is the decimal sign if the separator is another, no
    number has a point, and the numbers could not be thousands.

    The values are the doubles nearest to the decimals. pandas reads all rows at once; only if a column
    of points comes with anything but good numbers are its cells looked at as text.

    Raises
    ------
    PointillistError
        If the file is no such table: it names the line, as an editor counts, the column and the cure.
    """
    import pandas as pd

    source = str(path)
    content = decoded(content, source).encode()
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found = layout.find(content, source, wanted or Wanted())
    try:
        points = _numbers(_table(content, found), found)
        return _numbers_in_cells(content, found, source) if points is None else points
    except pd.errors.ParserError as error:
        raise _unparsed(str(error), content, found, source) from None


def _table(content: bytes, found: Layout, **options: Any) -> pd.DataFrame:
    """Return all rows, blank ones too; columns are counted from 0."""
    import pandas as pd

    stream = io.BytesIO(content.replace(b"\t", b" ") if found.separator == " " else content)
    for _ in range(found.lines):
        stream.readline()
    return pd.read_csv(
        stream,
        sep=found.separator,
        decimal=found.decimal,
        header=None,
        names=range(found.reach),
        index_col=False,
        keep_default_na=False,
        na_values=[""],
        skip_blank_lines=False,
        skipinitialspace=True,
        low_memory=False,
        **options,
    )


def _numbers(table: pd.DataFrame, found: Layout) -> pd.DataFrame | None:
    """Return the points if all are good numbers as pandas infers them, else None."""
    filled = table.notna()
    own = table[list(found.columns.values())].set_axis(list(found.columns), axis=1)
    if filled.loc[:, found.width :].any(axis=None) or any(t.kind not in "iuf" for t in own.dtypes):
        return None
    points = own[filled.any(axis=1)].astype("float64")
    return points if _good(points).all(axis=None) else None


def _numbers_in_cells(content: bytes, found: Layout, source: str) -> pd.DataFrame:
    """Return the points from cells read as text, or name the first that is bad."""
    import pandas as pd

    table = _table(content, found, dtype="str").fillna("")
    cells = table.apply(lambda column: column.str.strip())
    filled = cells != ""
    own = {role: cells[i].tolist() for role, i in found.columns.items()}
    decimal = _decimal(own, table, found, source) if found.separator in "\t;" else "."
    numbers = {role: [layout.number(cell, decimal) for cell in own[role]] for role in own}
    points = pd.DataFrame(numbers, dtype="float64")
    good = _good(points)
    beyond = filled.loc[:, found.width :].any(axis=1)
    wrong = ~beyond & filled.any(axis=1) & ~good.all(axis=1)
    bad = beyond | wrong
    if not bad.any():
        return points[filled.any(axis=1)]
    row = int(bad.argmax())
    if beyond[row]:
        count = int(filled.loc[row].to_numpy().nonzero()[0].max()) + 1
        line = _line(found, table[:row])
        fault = f"line {line} has {count} cells where the first line has {found.width}."
    else:
        role = next(role for role in own if not good.at[row, role])
        held = repr(shown(own[role][row])) if own[role][row] else "nothing"
        fault = f"{_place(found, table, row, role)}: {held} where {required(role)}."
    raise PointillistError(
        f"{source}, {fault} {cure(int((beyond if beyond[row] else wrong).sum()))}"
    )


def _good(points: pd.DataFrame) -> pd.DataFrame:
    """Tell which coordinates and weights are finite, not too large and, if weights, above 0."""
    good = points.abs() <= GREATEST
    if "weight" in points:
        good["weight"] &= points["weight"] > 0
    return good


def _decimal(own: dict[str, list[str]], table: pd.DataFrame, found: Layout, source: str) -> str:
    """Return the one decimal sign of all cells of points, or refuse what could be read in two ways."""
    cells = [(row, role, cell) for role in own for row, cell in enumerate(own[role])]
    commas = [cell for cell in cells if layout.DECIMAL_COMMA.fullmatch(cell[2])]
    points = [cell for cell in cells if layout.DECIMAL_POINT.fullmatch(cell[2])]
    if not commas:
        return "."
    if not points and not all(layout.THOUSANDS.fullmatch(cell) for _, _, cell in commas):
        return ","
    row, role, comma = min(commas)
    said = f"{source}, {_place(found, table, row, role)}: {shown(comma)!r}"
    if points:
        row, role, point = min(points)
        said += f" has a comma, but {shown(point)!r} in {_place(found, table, row, role)}, a point."
    else:
        said += " may be a decimal or in thousands."
    raise PointillistError(f"{said} Write decimals with a point, and thousands without a sign.")


def _place(found: Layout, table: pd.DataFrame, row: int, role: str) -> str:
    column = found.columns[role]
    return f"line {_line(found, table[:row])}, column {found.names[column] or column + 1}"


def _line(found: Layout, above: pd.DataFrame) -> int:
    """Return the line of the row that follows those `above`, whose cells may span lines."""
    breaks = sum(int(cells.str.count("\n").sum()) for _, cells in above.items())
    return found.lines + 1 + len(above) + breaks


def _unparsed(said: str, content: bytes, found: Layout, source: str) -> PointillistError:
    """Return the refusal of a row that pandas could not part into cells."""
    match = _UNPARSED.search(said)
    if match is None:
        return PointillistError(f"{source} can't be parted into rows and cells: {shown(said, 160)}")
    row = int(match["start"] or int(match["line"]) - 1)
    line = _line(found, _table(content, found, dtype="str", nrows=row)) if row else found.lines + 1
    if match["start"]:
        fault = ": a quoted cell does not end. Close the quote, or delete it."
    else:
        fault = f" has {match['cells']} cells where the first line has {found.width}. {cure(1)}"
    return PointillistError(f"{source}, line {line}{fault}")
