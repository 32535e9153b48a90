"""Where shapes come from: one's own file, a word, the installed Data Morph package, a formula.

A name is looked up in this order: a file data/01_raw/NAME.*, a shape that Data Morph starts from, one
that it morphs to, a formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pointillist.errors import PointillistError, nearest
from pointillist.shapes import data_morph, digests, formulas, naming, pictures, tables, vector

if TYPE_CHECKING:
    import pandas as pd

    from pointillist.shapes.config import Source
    from pointillist.shapes.materials import Material

Kind = Literal["file", "word", "starter", "target", "formula"]

SUFFIXES = (*tables.SUFFIXES, *vector.SUFFIXES, *pictures.SUFFIXES)
"""What can be read."""


@dataclass(frozen=True)
class Origin:
    """Where a shape's points come from."""

    name: str
    kind: Kind
    path: Path | None = None
    """The file of a file or starter."""
    text: str | None = None
    """The word to write."""

    @property
    def about(self) -> str:
        """What it is, in a few words, for a list."""
        match self.kind:
            case "file":
                return str(_near(self.path)) if self.path else ""
            case "starter":
                return "Data Morph"
            case "target":
                return "Data Morph, target shape"
            case "formula":
                return formulas.about(self.name)
            case "word":
                return f"the word {self.text!r}"


def names() -> tuple[str, ...]:
    """Return the names of all shapes that need no file, in the order in which they are looked up."""
    return tuple(
        dict.fromkeys((*data_morph.STARTERS, *data_morph.TARGETS, *formulas.NAMES)),
    )


def name_of(
    shape: str | None, shape_file: str | None, text: str | None, default: str, data: Path
) -> str:
    """Name the shape of a run whose `data` are in that folder: in paths, records and commands.

    It is the name given, else the file's stem, else the word, else the default. Where no file and no
    word is given, names are known in any case: one's own files first, then what was trained under the
    name, then what is built in.
    """
    if implied := naming.implied(shape_file, text):
        return naming.name_from(shape) if shape else implied
    layers = (data / "02_intermediate", data / "06_models")
    earlier = (naming.name_from(path.name) for layer in layers for path in layer.glob("[!.]*"))
    return naming.known(shape or default, _own_names(data / "01_raw"), earlier, names())


def find(
    shape: str,
    folder: Path,
    shape_file: str | Path | None = None,
    text: str | None = None,
) -> Origin:
    """Find the source of a shape: `shape_file`, `text`, or what has the name, `folder`'s files first.

    Raises
    ------
    PointillistError
        If there is none, or more than one file of that name; it says what there is.
    """
    if shape_file is not None and text is not None:
        raise PointillistError("Give shape_file or text, not both: a shape has one source.")
    if shape_file is not None:
        return Origin(shape, "file", _existing(Path(shape_file).expanduser()))
    if text is not None:
        return Origin(shape, "word", text=text)
    files = [path for path in own_files(folder) if naming.name_from(path.stem) == shape]
    if len(files) > 1:
        listed = ", ".join(path.name for path in files)
        raise PointillistError(
            f"{_near(folder)} holds more than one file for the shape {shape!r}: {listed}. Rename all but "
            "one, or name it: --params shape_file=PATH."
        )
    if files:
        return Origin(shape, "file", _near(files[0]))
    if (builtin := _builtin(shape)) is not None:
        return builtin
    known = [origin.name for origin in listing(folder)]
    others = [p.name for p in _files(folder) if p.stem == shape]
    raise PointillistError(
        f"Shape {shape!r} is unknown.{nearest(shape, known)} All names: kedro shapes.\n"
        + (
            f"{_near(folder / others[0])} is of a kind that isn't read ({', '.join(SUFFIXES)})."
            if others
            else f"Put your own at {_near(folder / shape)}.csv (or .png, .svg, …), or pass --params "
            "shape_file=PATH."
        )
    )


def listing(folder: Path) -> list[Origin]:
    """Return what every known name stands for: one's own files in `folder`, then what is built in."""
    own = ((naming.name_from(path.stem), path) for path in own_files(folder))
    files = {name: Origin(name, "file", path) for name, path in own}
    builtin = (_builtin(name) for name in names() if name not in files)
    return [*files.values(), *(origin for origin in builtin if origin is not None)]


def own_files(folder: Path) -> list[Path]:
    """Return the files of shapes in `folder`, by name."""
    return [path for path in _files(folder) if path.suffix.lower() in SUFFIXES]


def read(origin: Origin, max_megabytes: float = 256.0) -> Material:
    """Read a source.

    Raises
    ------
    PointillistError
        If its file can't be read, is larger than `max_megabytes` (10^6 bytes) or holds no shape.
    """
    from pointillist.shapes import materials

    match origin.kind:
        case "word":
            return materials.Word(origin.text or "")
        case "target":
            return materials.Target(origin.name)
        case "formula":
            return materials.Formula(origin.name)
    assert origin.path is not None
    path, suffix = origin.path, origin.path.suffix.lower()
    _refuse_unreadable(path, max_megabytes)
    content = digests.of_file(path)
    if suffix in pictures.SUFFIXES:
        return materials.Picture(str(path), pictures.read(path), content)
    if suffix in vector.SUFFIXES:
        drawing = vector.read(path)
        return materials.Outlines(str(path), drawing.lines, drawing.areas, content)
    return materials.Table(str(path), partial(tables.read, path), content)


def load(
    shape: str,
    shape_file: str | Path | None = None,
    folder: Path | None = None,
    options: Source | None = None,
) -> pd.DataFrame:
    """Find, read and place a shape: columns x, y and perhaps weight, original coordinates, float64.

    Raises
    ------
    PointillistError
        As `find`, `read` and `Material.place` do.
    """
    from pointillist.shapes.config import Source

    place = folder or Path("data/01_raw")
    name = shape if shape_file else naming.known(shape, _own_names(place), names())
    found = find(name, place, shape_file)
    return read(found).place(options or Source())


def _own_names(folder: Path) -> list[str]:
    return [naming.name_from(path.stem) for path in own_files(folder)]


def _builtin(name: str) -> Origin | None:
    if name in data_morph.STARTERS:
        return Origin(name, "starter", data_morph.starter_path(name))
    if name in data_morph.TARGETS:
        return Origin(name, "target")
    return Origin(name, "formula") if name in formulas.NAMES else None


def _near(path: Path) -> Path:
    """Return a path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _files(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def _existing(path: Path) -> Path:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise PointillistError(
            f"The shape_file {str(path)!r} {what}. Give the path of a table "
            f"({', '.join(tables.SUFFIXES)}), a drawing (.svg) or a picture "
            f"({', '.join(pictures.SUFFIXES)})."
        )
    if path.suffix.lower() not in SUFFIXES:
        raise PointillistError(
            f"{path}: files of the kind {path.suffix or 'without a suffix'!r} aren't read; these are: "
            f"{', '.join(SUFFIXES)}."
        )
    return path


def _refuse_unreadable(path: Path, max_megabytes: float) -> None:
    try:
        megabytes = path.stat().st_size / 1e6
        with path.open("rb"):
            pass
    except OSError as error:
        raise PointillistError(f"{path} can't be read: {error.strerror}.") from None
    if megabytes > max_megabytes:
        raise PointillistError(
            f"{path} has {megabytes:.1f} MB; at most {max_megabytes:g} are read. Thin it out, or "
            f"allow more: --params max_megabytes={megabytes + 1:.0f}"
        )
    if megabytes == 0:
        raise PointillistError(f"{path} is empty.")
