"""What a source holds once it is read, and how each kind of it becomes points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from pointillist.errors import PointillistError
from pointillist.shapes.columns import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import pandas as pd

    from pointillist.shapes.config import Source
    from pointillist.shapes.curves import Areas
    from pointillist.shapes.pictures import Ink

_ALONG_LINES, _IN_AREAS = 1000, 4000


class Material(Protocol):
    """Something that can be placed as points."""

    @property
    def content(self) -> str:
        """Digest of the file that it was read from; empty if there is none."""

    def place(self, options: Source) -> pd.DataFrame:
        """Return columns x, y and perhaps weight, float64, in the source's own coordinates.

        Raises PointillistError if that gives no shape, or if an option is set that does nothing here.
        """

    def size(self, options: Source) -> int:
        """Return how many points `place` returns."""


@dataclass(frozen=True)
class Table:
    """Points as somebody measured, drew or computed them: all are kept, none is added."""

    name: str
    read: Callable[[Wanted], pd.DataFrame]
    """Returns the points, of the columns that are wanted."""
    content: str = ""
    takes: ClassVar[frozenset[str]] = frozenset({"x", "y", "weight"})

    def place(self, options: Source) -> pd.DataFrame:
        """Return the points as they are."""
        _refuse_others(options, self.takes, f"{self.name}, whose points are kept as they are")
        return self.read(Wanted(options.x, options.y, options.weight))

    def size(self, options: Source) -> int:
        """Return the number of rows."""
        return len(self.place(options))


@dataclass(frozen=True)
class Outlines:
    """Lines to walk along or, if they enclose something, to fill: a drawing or the letters of a word."""

    name: str
    lines: Sequence[np.ndarray]
    """Polylines (M, 2), y upwards; a closed one ends where it begins."""
    areas: Callable[[], Areas] | None = None
    """Returns what is to be filled; None: where the lines wind around a point."""
    content: str = ""
    takes: ClassVar[frozenset[str]] = frozenset({"n_points", "filled"})

    def place(self, options: Source) -> pd.DataFrame:
        """Place points evenly along the lines, or evenly over what is filled."""
        from pointillist.shapes import curves

        _refuse_others(options, self.takes, self.name)
        n = self.size(options)
        if not options.filled:
            return _frame(curves.along(self.lines, n), self.name)
        try:
            if self.areas is None:
                return _frame(curves.inside(self.lines, n, options.seed), self.name)
            return _frame(self.areas().place(n, options.seed), self.name)
        except ValueError:
            raise PointillistError(
                f"The lines of {self.name} enclose nothing to fill. Leave source.filled out."
            ) from None

    def size(self, options: Source) -> int:
        """Return the number asked for, or the default."""
        return options.n_points or (_IN_AREAS if options.filled else _ALONG_LINES)


@dataclass(frozen=True)
class Word:
    """A word to write, its letters outlined or filled."""

    text: str
    content: ClassVar[str] = ""

    def place(self, options: Source) -> pd.DataFrame:
        """Place points evenly along the letters' outlines, or evenly inside them."""
        from pointillist.shapes import words

        lines = words.outlines(self.text, options.font)
        return Outlines(f"the word {self.text!r}", lines).place(options)

    def size(self, options: Source) -> int:
        """Return the number asked for, or the default."""
        return Outlines(self.text, ()).size(options)


@dataclass(frozen=True)
class Picture:
    """A photograph or drawing in pixels, of which each point takes its share of ink."""

    name: str
    ink: Ink
    content: str = ""
    takes: ClassVar[frozenset[str]] = frozenset({"n_points"})

    def place(self, options: Source) -> pd.DataFrame:
        """Stipple the picture."""
        from pointillist.shapes import pictures

        _refuse_others(options, self.takes, f"the picture {self.name}")
        points = pictures.place(
            self.ink,
            self.size(options),
            invert=options.invert,
            threshold=options.threshold,
            contrast=options.contrast,
            seed=options.seed,
            source=self.name,
        )
        return _frame(points, self.name)

    def size(self, options: Source) -> int:
        """Return the number asked for, or the default."""
        return options.n_points or _IN_AREAS


@dataclass(frozen=True)
class Target:
    """A shape that Data Morph morphs towards: lines or a handful of points."""

    name: str
    content: ClassVar[str] = ""

    def place(self, options: Source) -> pd.DataFrame:
        """Place points evenly along the shape's lines; shapes that are points keep theirs."""
        from pointillist.shapes import data_morph

        traced = self.name in data_morph.TRACED
        what = self.name if traced else f"{self.name}, whose points are kept as they are"
        _refuse_others(options, frozenset({"n_points"} if traced else ()), what)
        n = options.n_points or _ALONG_LINES
        return _frame(data_morph.place_target(self.name, n), self.name)

    def size(self, options: Source) -> int:
        """Return the number asked for, or the default, or the shape's own."""
        from pointillist.shapes import data_morph

        if self.name in data_morph.TRACED:
            return options.n_points or _ALONG_LINES
        return len(data_morph.place_target(self.name, _ALONG_LINES))


@dataclass(frozen=True)
class Formula:
    """A classic of the field."""

    name: str
    content: ClassVar[str] = ""

    def place(self, options: Source) -> pd.DataFrame:
        """Return the Gaussians that the formula is, or points drawn from it."""
        from pointillist.shapes import formulas

        if options.n_points is not None:
            raise PointillistError(
                f"source.n_points has no effect on {self.name}, which is a density of its own. Points "
                f"drawn from it: source.sampled={options.n_points}"
            )
        what = f"{self.name}, whose formula says where it is"
        _refuse_others(options, frozenset({"noise", "count", "turns", "sampled"}), what)
        density = formulas.density(self.name, options)
        if options.sampled is None:
            return density.table()
        return _frame(density.draw(options.sampled, options.seed), self.name)

    def size(self, options: Source) -> int:
        """Return the number of Gaussians, or of points that are drawn."""
        return len(self.place(options))


def _frame(points: np.ndarray, name: str) -> pd.DataFrame:
    import pandas as pd

    from pointillist.shapes.points import checked

    return checked(pd.DataFrame(points, columns=["x", "y"]), name)


def _refuse_others(options: Source, takes: frozenset[str], what: str) -> None:
    """Refuse what the command line sets in vain: a number that does nothing misleads."""
    knobs = {
        "n_points": options.n_points,
        "noise": options.noise,
        "count": options.count,
        "turns": options.turns,
        "sampled": options.sampled,
        "filled": options.filled or None,
        "x": options.x,
        "y": options.y,
        "weight": options.weight,
    }
    for knob, value in knobs.items():
        if value is not None and knob not in takes:
            others = ", ".join(f"source.{name}" for name in sorted(takes))
            raise PointillistError(
                f"source.{knob} has no effect on {what}. "
                + (f"It takes {others}." if others else f"Leave source.{knob} out.")
            )
