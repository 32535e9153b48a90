"""Parameters of the films, the figures and the player."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pointillist.diffusion.config import SamplerName
from pointillist.groups import Group, by_plus, each_once

Format = Literal["gif", "webp", "mp4"]
_MOST_FRAMES = 1000


def _known_formats(value: Any) -> Any:
    """Split what a command line joins by +. Raises ValueError for a format that isn't written."""
    formats, known = by_plus(value), get_args(Format)
    for name in formats if isinstance(formats, list | tuple) else ():
        if name not in known:
            raise ValueError(
                f"{name!r} is none of {', '.join(known)}. Slides and video editors take mp4 (with the "
                "extra video)"
            )
    return formats


class Rendering(Group):
    """The animation and the figures."""

    formats: Annotated[
        tuple[Format, ...],
        BeforeValidator(_known_formats),
        AfterValidator(each_once),
    ] = Field(
        ("gif",),
        min_length=1,
        description="What the animation is written as, joined by + on a command line "
        "(gif+webp+mp4); a GIF always is. mp4 needs the extra video.",
    )

    frames: int = Field(
        80,
        ge=2,
        le=_MOST_FRAMES,
        description="Frames of the films, unless `rendering.seconds` says how many.",
    )
    fps: int = Field(20, ge=1, le=50, description="Frames per second.")
    seconds: float | None = Field(
        None,
        gt=0,
        le=600,
        description="Length of the films, without the time that the last frame stays: they get "
        f"`seconds` times `fps` frames, at most {_MOST_FRAMES}; null: `frames` / `fps`.",
    )
    hold_seconds: float = Field(
        2.0, ge=0, le=60, description="How long the last frame stays, in seconds."
    )
    size: int = Field(480, ge=120, le=4096, description="Width and height of the animation, px.")
    points: int = Field(2000, ge=1, le=100_000, description="Points drawn in the animation.")
    point_size: float = Field(
        1.0,
        gt=0,
        le=20,
        description="Diameter of the dots in films and figures, as a multiple of the usual one, which "
        "depends on how many there are.",
    )
    theme: Literal["light", "dark"] = Field(
        "light", description="Background of the films; that of the figures is light."
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

    @property
    def n_frames(self) -> int:
        """Frames of a film."""
        return self.frames if self.seconds is None else max(2, round(self.seconds * self.fps))

    @model_validator(mode="after")
    def _not_too_many_frames(self) -> Rendering:
        if self.seconds is not None and self.n_frames > _MOST_FRAMES:
            raise ValueError(
                f"seconds={self.seconds:g} at fps={self.fps} are {self.n_frames} frames, and a film has "
                f"at most {_MOST_FRAMES}. Set rendering.fps={max(1, int(_MOST_FRAMES / self.seconds))}"
            )
        return self


class Player(Group):
    """The interactive film."""

    against: SamplerName | None = Field(
        None,
        description="Another sampler, shown beside the chain's own from the same noise; null: none.",
    )
    points: int = Field(1500, ge=10, le=10_000, description="Points that move.")
