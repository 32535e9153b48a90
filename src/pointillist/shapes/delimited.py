"""Points from CSV and its kin: text, a row a line, cells between separators."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pointillist.errors import PointillistError
from pointillist.shapes.columns import Wanted, choose, folded, named, shown
from pointillist.shapes.points import GREATEST, cure
from pointillist.shapes.points import wanted as required

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

Row = tuple[int, list[str]]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
_TWO_NUMBERS = re.compile(rf"{_NUMBER.pattern}(\s+|\s*[;,]\s*)({_NUMBER.pattern})", re.ASCII)
# What stands for a number, a wrong or missing one too, and is no name of a column.
_LIKE_A_NUMBER = re.compile(
    r"[+-]?[.,]?\d.*|[+-]?(nan|inf|infinity)|na|n/a|null|none|-", re.I | re.S
)
_SEPARATOR_LINE = re.compile(r"sep=.", re.I)
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
_SAMPLE = 100
# A line that closes the file for the reader of cells, unless a quote is still open.
_END = "\x04"


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
    there is no other header, it is the header. Blank lines, and rows with nothing in them, are
    skipped; so is nothing else. Numbers may be quoted. A comma is the decimal sign if the separator
    is another, no number has a point, and the numbers could not be thousands.

    The values are the doubles nearest to the decimals. Clean files are read by pandas' C parser; any
    doubt is left to a walk line by line, which has the last word and names what is wrong.

    Raises
    ------
    PointillistError
        If the file is no such table: it names the line, as an editor counts, the column and the cure.
    """
    source = str(path)
    text = decoded(content, source)
    content = text.encode()
    del text
    layout = _layout(content, source, wanted or Wanted())
    table = _fast(content, layout) if layout.clean else None
    return _walk(content, layout, source) if table is None else table


@dataclass(frozen=True)
class _Layout:
    """How a file is laid out: `lines` before its first row, `width` cells a row, where the columns are.

    `clean` tells whether the first rows have numbers wherever they should.
    """

    separator: str
    decimal: str
    lines: int
    width: int
    names: list[str]
    columns: dict[str, int]
    clean: bool


def _lines(content: bytes) -> Iterator[str]:
    """Yield the lines of UTF-8 text, whatever ends them."""
    return io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=None)


def _split(text: str, separator: str) -> list[str]:
    """Return the cells of one line; none if it is too long to be a row."""
    text = text.strip() if len(text) < csv.field_size_limit() else ""
    return next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])


def _rows(content: bytes, separator: str, source: str, skip: int = 0) -> Iterator[Row]:
    """Yield line number and cells of every row after `skip` lines but those with nothing in them."""
    lines: Iterator[str] = islice(_lines(content), skip, None)
    if separator == " ":
        lines = (line.replace("\t", " ").strip() + "\n" for line in lines)

    def closed() -> Iterator[str]:
        yield from lines
        yield _END

    reader = csv.reader(closed(), delimiter=separator, skipinitialspace=True)
    line = 1
    try:
        for cells in reader:
            if cells and cells[-1].endswith(_END) and cells != [_END]:
                raise PointillistError(
                    f"{source}, line {skip + line}: a quoted cell does not end. "
                    "Close the quote, or delete it."
                )
            if cells != [_END] and any(map(str.strip, cells)):
                yield skip + line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise PointillistError(
            f"{source}, line {skip + line}: {error}. Mend or delete the row."
        ) from None


def _number(cell: str, decimal: str = ".") -> float | None:
    """Return the number that a cell holds, or None if it holds none."""
    cell = cell.strip()
    if decimal == ",":
        cell = "?" if "." in cell else cell.replace(",", ".")
    return float(cell) if _NUMBER.fullmatch(cell) else None


def _layout(content: bytes, source: str, wanted: Wanted) -> _Layout:
    """Find separator, header and columns from the first rows."""
    comments: list[tuple[int, str]] = []
    for line, text in enumerate(_lines(content)):
        # A first line sep=; is Excel's own, and says what separates cells.
        if line == 0 and _SEPARATOR_LINE.fullmatch(text.strip()):
            continue
        if text.strip() and not text.lstrip().startswith("#"):
            skip = line
            break
        if text.strip():
            comments.append((line + 1, text))
    else:
        raise PointillistError(f"{source} has comments alone. It needs a row a point.")
    doubt: PointillistError | None = None
    guess: tuple[str, str, list[Row]] | None = None
    for separator in "\t;, ":
        try:
            rows = list(islice(_rows(content, separator, source, skip), _SAMPLE))
        except PointillistError as error:
            doubt = doubt or error
            continue
        if not rows or len(rows[0][1]) < 2:
            continue
        decimal = _decimal(rows) if separator in "\t;" else "."
        numeric = _numeric(rows[1:] or rows, len(rows[0][1]), decimal)
        guess = guess or (separator, decimal, rows)
        if named(rows[0][1]) or sum(numeric) > 1:
            return _settled(content, comments, rows, separator, decimal, source, wanted)
    if guess and not doubt:
        separator, decimal, rows = guess
        return _settled(content, comments, rows, separator, decimal, source, wanted)
    _refuse_a_count(content, source, skip)
    raise doubt or PointillistError(
        f"{source} has one column alone; it needs two. Separate them with commas, under a header x,y."
    )


def _settled(
    content: bytes,
    comments: Sequence[tuple[int, str]],
    rows: Sequence[Row],
    separator: str,
    decimal: str,
    source: str,
    wanted: Wanted,
) -> _Layout:
    """Lay out a table; what the decimal sign is, the whole of its columns of points says."""
    layout = _laid_out(comments, rows, separator, decimal, source, wanted)
    if separator not in "\t;" or b"," not in content:
        return layout
    body = _rows(content, separator, source, layout.lines)
    places = [layout.columns["x"], layout.columns["y"]]
    own = [(line, [row[i] for i in places if i < len(row)]) for line, row in body]
    sign = _decimal(own)
    if sign == ",":
        _refuse_thousands([cell.strip() for _, row in own for cell in row], source)
    if sign == decimal:
        return layout
    return _laid_out(comments, rows, separator, sign, source, wanted)


def _refuse_thousands(cells: Sequence[str], source: str) -> None:
    """Refuse commas that could all be those of thousands."""
    commas = [cell for cell in cells if "," in cell]
    if commas and all(_THOUSANDS.fullmatch(cell) for cell in commas):
        raise PointillistError(
            f"{source}: is {shown(commas[0])!r} a decimal or in thousands? "
            "Write decimals with a point, and thousands without a sign."
        )


def _refuse_a_count(content: bytes, source: str, skip: int) -> None:
    """Say so if the first line is a number alone, as of points, above rows of more cells."""
    head = [line.split() for line in islice(_lines(content), skip, skip + 2)]
    if len(head) == 2 and len(head[0]) == 1 and head[0][0].isdigit() and len(head[1]) > 1:
        raise PointillistError(
            f"{source}, line {skip + 1}: {head[0][0]} alone, as a count of the rows below. Delete "
            "that line."
        )


def _decimal(rows: Sequence[Row]) -> str:
    cells = [cell.strip() for _, row in rows for cell in row]
    commas = any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)
    return "," if commas and not any(_DECIMAL_POINT.fullmatch(cell) for cell in cells) else "."


def _numeric(rows: Sequence[Row], width: int, decimal: str) -> list[bool]:
    """Tell for each column whether at least half of its filled cells are numbers."""
    columns = [[row[i].strip() for _, row in rows if i < len(row)] for i in range(width)]
    filled = [[cell for cell in column if cell] for column in columns]
    counts = [sum(_number(cell, decimal) is not None for cell in column) for column in filled]
    return [2 * count >= max(len(column), 1) for count, column in zip(counts, filled, strict=True)]


def _laid_out(
    comments: Sequence[tuple[int, str]],
    rows: Sequence[Row],
    separator: str,
    decimal: str,
    source: str,
    wanted: Wanted,
) -> _Layout:
    """Find header and columns in the first rows, cells already apart."""
    first = rows[0][1]
    width = len(first)
    numeric = _numeric(rows[1:] or rows, width, decimal)
    above = [cell.strip() for cell, is_number in zip(first, numeric, strict=True) if is_number]
    words = any(above) and not any(_LIKE_A_NUMBER.fullmatch(cell) for cell in above)
    header = named(first) or not above or words
    if header and len(rows) == 1:
        raise PointillistError(
            f"{source} has a header alone, or no numbers. It needs a row a point under its header."
        )
    names = first if header else _commented_names(comments, width, separator)
    numeric = numeric if header else _numeric(rows, width, decimal)
    if not names and [cell.strip() for cell in first] == ["0", "1"]:
        logger.warning(
            "%s begins with 0,1, which is taken as a point. If pandas wrote that as a header, delete the "
            "line, or save with header=False.",
            source,
        )
    if not names and sum(numeric) > 2:
        raise PointillistError(
            f"{source} has {sum(numeric)} columns of numbers and no header, so that which are x and y "
            "is a guess.\nGive it a first line that names them x, y and, for weights, weight."
        )
    columns = choose(names or [f"column {i + 1}" for i in range(width)], numeric, source, wanted)
    body = rows[1:] if header else rows
    if not named(names):
        _refuse_rows_like_comments(comments, columns, separator, decimal, source)
        _refuse_two_numbers_in_a_cell(body, decimal, source)
    cells = [row[i].strip() if i < len(row) else "" for _, row in body for i in columns.values()]
    if decimal == ",":
        _refuse_thousands(cells, source)
    return _Layout(
        separator,
        decimal,
        # A header may span lines, and blank lines may follow it.
        lines=body[0][0] - 1,
        width=width,
        names=[shown(name) for name in names] or [str(i + 1) for i in range(width)],
        columns=columns,
        clean=all(_number(cell, decimal) is not None for cell in cells),
    )


def _commented_names(
    comments: Sequence[tuple[int, str]], width: int, separator: str
) -> Sequence[str]:
    """Return the names in the last comment if they are those of the columns, x and y among them."""
    if not comments:
        return []
    names = _split(comments[-1][1].lstrip(" #"), separator)
    return names if len(names) == width and named(names) else []


def _refuse_rows_like_comments(
    comments: Sequence[tuple[int, str]],
    columns: dict[str, int],
    separator: str,
    decimal: str,
    source: str,
) -> None:
    """Refuse comments that could be rows, such as a colour #ff0000 beside two numbers."""
    for line, text in comments:
        cells = _split(text, separator)
        if all(i < len(cells) and _number(cells[i], decimal) is not None for i in columns.values()):
            raise PointillistError(
                f"{source}, line {line}: it begins with # as a comment does, and reads like a row. "
                "Delete the line, or put a header x,y above it."
            )


def _refuse_two_numbers_in_a_cell(rows: Sequence[Row], decimal: str, source: str) -> None:
    """Refuse cells that another separator would part into two numbers."""
    for line, cells in rows:
        for cell in (cell.strip() for cell in cells):
            if _TWO_NUMBERS.fullmatch(cell) and _number(cell, decimal) is None:
                raise PointillistError(
                    f"{source}, line {line}: {shown(cell)!r} in one cell could be two numbers. "
                    "Separate all cells alike and write decimals with a point, or name the columns x,y."
                )


def _fast(content: bytes, layout: _Layout) -> pd.DataFrame | None:
    """Read a clean table with pandas; return None where there is any doubt."""
    import warnings

    import pandas as pd

    stream = io.BytesIO(content)
    ends = (match.end() for match in _NEWLINE.finditer(content))
    stream.seek(next(islice(ends, layout.lines - 1, None), 0) if layout.lines else 0)
    roles = {i: role for role, i in layout.columns.items()}
    # A column too many shows rows with more cells than they should have.
    names = [*(roles.get(i, i) for i in range(layout.width)), "beyond"]
    numbers = [*roles.values(), "beyond"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                stream,
                sep=r"\s+" if layout.separator == " " else layout.separator,
                decimal=layout.decimal,
                header=None,
                names=names,
                index_col=False,
                dtype={name: "float64" if name in numbers else "str" for name in names},
                keep_default_na=False,
                na_values=[""],
                low_memory=False,
                skipinitialspace=True,
                encoding="utf-8",
            )
    except (ValueError, pd.errors.ParserWarning):
        return None
    too_wide = table["beyond"].notna().any()
    table = table.dropna(how="all")[list(layout.columns)]
    fine = bool((table[["x", "y"]].abs() <= GREATEST).all(axis=None))
    if "weight" in table:
        fine &= bool(table["weight"].between(0, GREATEST, inclusive="right").all())
    return table if fine and not too_wide else None


def _walk(content: bytes, layout: _Layout, source: str) -> pd.DataFrame:
    """Read a table row by row, and name the first that is bad."""
    import pandas as pd

    values = {role: array("d") for role in layout.columns}
    first: tuple[str, str] | None = None
    bad: Counter[str] = Counter()
    for line, cells in _rows(content, layout.separator, source, layout.lines):
        found = _fault(line, cells, layout, source)
        if found:
            first = first or found
            bad[found[0]] += 1
        elif first is None:
            for role, i in layout.columns.items():
                values[role].append(_number(cells[i], layout.decimal) or 0.0)
    if first:
        raise PointillistError(f"{first[1]} {cure(bad[first[0]])}")
    return pd.DataFrame(values, dtype="float64")


def _fault(line: int, cells: Sequence[str], layout: _Layout, source: str) -> tuple[str, str] | None:
    """Return what kind of fault a row has, and the sentence that names it."""
    if len(cells) > layout.width and any(map(str.strip, cells[layout.width :])):
        return (
            "cells",
            f"{source}, line {line} has {len(cells)} cells where the first line has {layout.width}.",
        )
    for role, i in layout.columns.items():
        cell = cells[i].strip() if i < len(cells) else ""
        number = _number(cell, layout.decimal)
        kind = "nothing" if not cell else "text" if number is None else "number"
        if kind == "text" and folded(cell).lstrip("+-") in ("nan", "inf", "infinity"):
            kind = "not finite"
        good = number is not None and abs(number) <= GREATEST and (role != "weight" or number > 0)
        if not good:
            held = "nothing" if not cell else repr(shown(cell))
            where = f"{source}, line {line}, column {layout.names[i] or i + 1}"
            return kind, f"{where}: {held} where {required(role)}."
    return None
