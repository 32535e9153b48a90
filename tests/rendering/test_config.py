"""How long a film is, and what it can be written as."""

from __future__ import annotations

import pytest

from pointillist.errors import PointillistError
from pointillist.parameters import validate
from pointillist.rendering.config import Rendering


@pytest.mark.parametrize(
    ("given", "n_frames"),
    [
        ({}, 80),
        ({"frames": 30}, 30),
        ({"seconds": 6}, 120),
        ({"seconds": 6, "fps": 30, "frames": 7}, 180),
        ({"seconds": 0.01}, 2),
        ({"seconds": 50, "fps": 20}, 1000),
    ],
)
def test_seconds_say_how_many_frames_there_are(given: dict, n_frames: int) -> None:
    assert Rendering(**given).n_frames == n_frames


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"seconds": 30, "fps": 50},
            "1500 frames, and a film has at most 1000. Set rendering.fps=33",
        ),
        ({"formats": "avi"}, "'avi' is none of gif, webp, mp4. Slides and video editors take mp4"),
        ({"formats": "gif+mov"}, "'mov' is none of"),
        ({"formats": ["gif", "gif"]}, "each must be given once only"),
    ],
)
def test_what_cannot_be_filmed_is_refused_with_a_way_out(given: dict, said: str) -> None:
    with pytest.raises(PointillistError) as error:
        validate({"rendering": given})
    assert said in str(error.value)


def test_the_way_out_works() -> None:
    assert Rendering(seconds=30, fps=33).n_frames == 990
