"""Parameters of the films, the figures and the player."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from pointillist.diffusion.config import SamplerName
from pointillist.groups import Group, by_plus, each_once


class Rendering(Group):
    """The animation and the figures."""

    formats: Annotated[
        tuple[Literal["gif", "webp", "mp4"], ...],
        BeforeValidator(by_plus),
        AfterValidator(each_once),
    ] = Field(
        ("gif",),
        min_length=1,
        description="What the animation is written as, joined by + on a command line "
        "(gif+webp+mp4); a GIF always is. mp4 needs the extra video.",
    )

    frames: int = Field(80, ge=2, le=1000, description="Frames of the animation.")
    fps: int = Field(20, ge=1, le=50, description="Frames per second.")
    hold_seconds: float = Field(
        2.0, ge=0, le=60, description="How long the last frame stays, in seconds."
    )
    size: int = Field(480, ge=120, le=4096, description="Width and height of the animation, px.")
    points: int = Field(2000, ge=1, le=100_000, description="Points drawn in the animation.")
    theme: Literal["light", "dark"] = Field(
        "light", description="Paper of the films; the figures are on light paper."
    )
    palette: Literal["dusk", "viridis", "cividis"] = Field(
        "dusk",
        description="Colours of the films, from left to right; the lightness of each rises, so that it "
        "can be read with any colour vision.",
    )
    trails: int = Field(
        0,
        ge=0,
        le=100,
        description="Frames that the line behind each dot reaches back; 0: no lines.",
    )


class Player(Group):
    """The interactive film."""

    against: SamplerName | None = Field(
        None,
        description="Another sampler, shown beside the chain's own from the same noise; null: none.",
    )
    points: int = Field(1500, ge=10, le=10_000, description="Points that move.")
