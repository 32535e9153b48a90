"""Parameters of how a source becomes points."""

from __future__ import annotations

from pydantic import Field

from pointillist.groups import AS_TYPED, Group


class Source(Group):
    """How a formula, a drawing, a picture or a word becomes points; a table keeps its own."""

    n_points: int | None = Field(
        None,
        ge=3,
        le=1_000_000,
        description="Points to place; null: 1,000 along lines, 4,000 in a picture or in filled outlines.",
    )
    sampled: int | None = Field(
        None,
        ge=3,
        le=1_000_000,
        description="Formulas: points to draw by chance, each of which is then a dot of data.bandwidth; "
        "null: the formula is the density itself.",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="Seed of what is placed by chance; apart from `seed`, so that runs with other seeds "
        "still learn the same shape.",
    )
    noise: float | None = Field(
        None,
        ge=0,
        le=10,
        description="Formulas: deviation of the Gaussian noise around the curve, area or mode, in the "
        "formula's own units; null: the formula's own.",
    )
    count: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Formulas: how many modes, arms, circles, corners, lobes, cells a side or "
        "generations there are; null: the formula's own.",
    )
    turns: float | None = Field(
        None, gt=0, le=20, description="Spirals: how often they wind; null: the formula's own."
    )
    filled: bool = Field(
        False,
        description="Words and SVG drawings: points inside the outlines rather than along them.",
    )
    font: str = Field(
        "DejaVu Sans",
        min_length=1,
        json_schema_extra=AS_TYPED,
        description="Words: a font family that matplotlib finds; DejaVu Sans comes with it.",
    )
    x: str | None = Field(
        None,
        min_length=1,
        json_schema_extra=AS_TYPED,
        description="Tables: name of the column that is x; null: x, lon, longitude, lng or easting, or "
        "the first of the only two columns of numbers.",
    )
    y: str | None = Field(
        None,
        min_length=1,
        json_schema_extra=AS_TYPED,
        description="Tables: name of the column that is y; null: y, lat, latitude or northing, or the "
        "other.",
    )
    weight: str | None = Field(
        None,
        min_length=1,
        json_schema_extra=AS_TYPED,
        description="Tables: name of the column of weights; null: weight or weights, if there is one.",
    )
    invert: bool = Field(
        False, description="Pictures: points where it is light, rather than where it is dark."
    )
    threshold: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Pictures: ink, from 0 (white or clear) to 1 (black), up to which the paper stays "
        "bare.",
    )
    contrast: float = Field(
        1.5,
        ge=0.25,
        le=4,
        description="Pictures: power of the ink above the threshold that the density of points goes "
        "with; more leaves half-tones emptier.",
    )
