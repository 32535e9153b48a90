"""How a text file of cells is laid out: separator, header, decimal sign, columns of points."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from pointillist.errors import PointillistError
from pointillist.shapes.columns import Wanted, choose, named, shown
from pointillist.shapes.points import cure

logger = logging.getLogger(__name__)

Row = tuple[int, list[str]]
"""The line that a row begins in, and its cells."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)
DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
_TWO_NUMBERS = re.compile(rf"{_NUMBER.pattern}(\s+|\s*[;,]\s*)({_NUMBER.pattern})", re.ASCII)
# What stands for a number, a wrong or missing one too, and is no name of a column.
_LIKE_A_NUMBER = re.compile(
    r"[+-]?[.,]?\d.*|[+-]?(nan|inf|infinity)|na|n/a|null|none|-", re.I | re.S
)
# A first line sep=; is Excel's own, and says what separates cells.
_SEPARATOR_LINE = re.compile(r'"?sep=.?"?', re.I)
_SAMPLE = 100
_LONGEST_TITLE = 10
# Empty cells that rows may have beyond the first line's.
_SPARE = 20


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: `lines` before its first row, `width` cells a row, where the columns are.

    `reach` is how many cells rows may have if those beyond `width` are empty.
    """

    separator: str
    decimal: str
    lines: int
    width: int
    reach: int
    names: list[str]
    columns: dict[str, int]


def number(cell: str, decimal: str = ".") -> float | None:
    """Return the number that a cell holds, or None if it holds none."""
    cell = cell.strip()
    if decimal == ",":
        cell = "?" if "." in cell else cell.replace(",", ".")
    return float(cell) if _NUMBER.fullmatch(cell) else None


def find(content: bytes, source: str, wanted: Wanted) -> Layout:
    """Find separator, header and columns from the first rows.

    Raises
    ------
    PointillistError
        If there is no table of points, or more than one way to read it; it names what was found.
    """
    comments, skip = _comments(content, source)
    guess: tuple[str, list[Row]] | None = None
    lone: Row | None = None
    for separator in "\t;, ":
        rows = _untitled(list(islice(_rows(content, separator, skip), _SAMPLE)), source)
        if not rows:
            continue
        width = len(rows[0][1])
        if width > 1:
            if named(rows[0][1]) or sum(_numeric(rows[1:] or rows, width, separator)) > 1:
                return _laid_out(rows, separator, comments, source, wanted)
            guess = guess or (separator, rows)
        elif sum(_numeric(rows[2:] or rows[1:], 2, separator)) > 1:
            lone = rows[0]
    if lone:
        raise PointillistError(
            f"{source}, line {lone[0]}: {shown(lone[1][0])} alone, as a count of the rows below or a "
            "title. Delete that line, or begin it with #."
        )
    if guess:
        return _laid_out(guess[1], guess[0], comments, source, wanted)
    if content.count(b'"') % 2:
        raise PointillistError(
            f"{source}: a quoted cell does not end. Close the quote, or delete it."
        )
    raise PointillistError(
        f"{source} has one column alone; it needs two. Separate them with commas, under a header x,y."
    )


def _comments(content: bytes, source: str) -> tuple[list[tuple[int, str]], int]:
    """Return the comments above the table with their lines, and how many lines are above it."""
    comments: list[tuple[int, str]] = []
    for line, text in enumerate(io.TextIOWrapper(io.BytesIO(content), "utf-8"), 1):
        text = text.strip()
        if line == 1 and _SEPARATOR_LINE.fullmatch(text):
            continue
        if text.startswith("#"):
            comments.append((line, text))
        elif text:
            return comments, line - 1
    raise PointillistError(f"{source} has comments alone. It needs a row a point.")


def _rows(content: bytes, separator: str, skip: int) -> Iterator[Row]:
    """Yield the rows after `skip` lines but those with nothing in them, until one can't be parsed."""
    lines: Iterator[str] = islice(io.TextIOWrapper(io.BytesIO(content), "utf-8"), skip, None)
    if separator == " ":
        lines = (line.replace("\t", " ").strip() + "\n" for line in lines)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    line = skip + 1
    with suppress(csv.Error):
        for cells in reader:
            if any(map(str.strip, cells)):
                yield line, cells
            line = skip + reader.line_num + 1


def _untitled(rows: list[Row], source: str) -> list[Row]:
    """Leave out a title: rows that hold no two numbers above a header that names x and y."""
    for i, (line, cells) in enumerate(rows[:_LONGEST_TITLE]):
        if named(cells):
            if i:
                logger.info(
                    "%s: the header is line %d; what is above it is left out.", source, line
                )
            return rows[i:]
        if sum(number(cell) is not None for cell in cells) > 1:
            break
    return rows


def _numeric(rows: Sequence[Row], width: int, separator: str) -> list[bool]:
    """Tell for each column whether at least half of its filled cells are numbers."""
    columns = [[row[i] for _, row in rows if i < len(row) and row[i].strip()] for i in range(width)]
    counts = [sum(_is_number(cell, separator) for cell in column) for column in columns]
    return [2 * count >= max(len(column), 1) for count, column in zip(counts, columns, strict=True)]


def _is_number(cell: str, separator: str) -> bool:
    """Tell whether a cell holds a number, with either decimal sign unless the comma separates."""
    signs = ".," if separator in "\t;" else "."
    return any(number(cell, sign) is not None for sign in signs)


def _laid_out(
    rows: Sequence[Row],
    separator: str,
    comments: Sequence[tuple[int, str]],
    source: str,
    wanted: Wanted,
) -> Layout:
    """Find header and columns in the first rows, cells already apart."""
    first, width = rows[0][1], len(rows[0][1])
    header = _is_header(first, _numeric(rows[1:] or rows, width, separator))
    if header and len(rows) == 1:
        raise PointillistError(
            f"{source} has a header alone, or no numbers. It needs a row a point under its header."
        )
    names = first if header else _commented_names(comments, width, separator)
    body = rows[1:] if header else rows
    numeric = _numeric(body, width, separator)
    if not names:
        _refuse_nameless(first, numeric, source)
    columns = choose(names or [f"column {i + 1}" for i in range(width)], numeric, source, wanted)
    if not named(names):
        _refuse_rows_like_comments(comments, columns, separator, source)
        _refuse_two_numbers_in_a_cell(body, separator, source)
    _refuse_too_wide(body, width, source)
    own = [row[i].strip() for _, row in body for i in columns.values() if i < len(row)]
    commas = [cell for cell in own if separator in "\t;" and DECIMAL_COMMA.fullmatch(cell)]
    return Layout(
        separator,
        # A comma counts once it can't be that of thousands.
        decimal="." if all(map(THOUSANDS.fullmatch, commas)) else ",",
        # A header may span lines, and blank lines may follow it.
        lines=body[0][0] - 1,
        width=width,
        reach=max(len(row) for _, row in rows) + 1,
        names=[shown(name) for name in names] or [str(i + 1) for i in range(width)],
        columns=columns,
    )


def _refuse_too_wide(rows: Sequence[Row], width: int, source: str) -> None:
    for line, cells in rows:
        if len(cells) > width + _SPARE:
            raise PointillistError(
                f"{source}, line {line} has {len(cells)} cells where the first line has {width}. "
                f"{cure(1)}"
            )


def _is_header(first: Sequence[str], numeric: Sequence[bool]) -> bool:
    """Tell whether a first row names x and y, or has words above columns that are `numeric`."""
    above = [cell.strip() for cell, is_number in zip(first, numeric, strict=True) if is_number]
    words = any(above) and not any(_LIKE_A_NUMBER.fullmatch(cell) for cell in above)
    return named(first) or not above or words


def _commented_names(
    comments: Sequence[tuple[int, str]], width: int, separator: str
) -> Sequence[str]:
    """Return the names in the last comment if they are those of the columns, x and y among them."""
    names = _split(comments[-1][1].lstrip(" #"), separator) if comments else []
    return names if len(names) == width and named(names) else []


def _split(text: str, separator: str) -> list[str]:
    """Return the cells of one line; none if it can't be parsed."""
    return next((cells for _, cells in _rows(text.encode(), separator, 0)), [])


def _refuse_nameless(first: Sequence[str], numeric: Sequence[bool], source: str) -> None:
    """Refuse more than two columns of numbers without names; say what pandas' own may mean."""
    if sum(numeric) > 2:
        raise PointillistError(
            f"{source} has {sum(numeric)} columns of numbers and no header, so that which are x and y "
            "is a guess.\nGive it a first line that names them x, y and, for weights, weight."
        )
    if [cell.strip() for cell in first] == ["0", "1"]:
        logger.warning(
            "%s begins with 0,1, which is taken as a point. If pandas wrote that as a header, delete the "
            "line, or save with header=False.",
            source,
        )


def _refuse_rows_like_comments(
    comments: Sequence[tuple[int, str]],
    columns: dict[str, int],
    separator: str,
    source: str,
) -> None:
    """Refuse comments that could be rows, such as a colour #ff0000 beside two numbers."""
    for line, text in comments:
        cells = _split(text, separator)
        if all(i < len(cells) and _is_number(cells[i], separator) for i in columns.values()):
            raise PointillistError(
                f"{source}, line {line}: it begins with # as a comment does, and reads like a row. "
                "Delete the line, or put a header x,y above it."
            )


def _refuse_two_numbers_in_a_cell(rows: Sequence[Row], separator: str, source: str) -> None:
    """Refuse cells that another separator would part into two numbers."""
    for line, cells in rows:
        for cell in (cell.strip() for cell in cells):
            if _TWO_NUMBERS.fullmatch(cell) and not _is_number(cell, separator):
                raise PointillistError(
                    f"{source}, line {line}: {shown(cell)!r} in one cell could be two numbers. "
                    "Separate all cells alike and write decimals with a point, or name the columns x,y."
                )
