"""Words become closed outlines; what can't be written is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointillist.errors import PointillistError
from pointillist.shapes import words

FONT = "DejaVu Sans"


def extent(text: str) -> np.ndarray:
    points = np.concatenate(words.outlines(text, FONT))
    return np.array([points.min(0), points.max(0)])


def test_outlines_are_closed_and_upright():
    lines = words.outlines("Lo", FONT)
    assert len(lines) == 3  # L, o and the hole of the o
    assert all((line[0] == line[-1]).all() for line in lines)
    letter = lines[0]
    upper, lower = letter[letter[:, 1] > 0.4], letter[letter[:, 1] < 0.05]
    assert np.ptp(upper[:, 0]) < 0.5 * np.ptp(lower[:, 0])


def test_holes_run_the_other_way_round():
    def area(line: np.ndarray) -> float:
        x, y = line.T
        return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())

    outer, hole = sorted(words.outlines("o", FONT), key=lambda line: -np.ptp(line[:, 0]))
    assert area(outer) * area(hole) < 0


def test_curves_are_fine():
    """An o is smooth: no corner of its outline turns by more than a few degrees."""
    line = max(words.outlines("o", FONT), key=len)[:-1]
    ahead = np.roll(line, -1, axis=0) - line
    ahead = ahead[np.hypot(*ahead.T) > 1e-9]
    turns = np.diff(np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0])))
    assert abs(turns).max() < np.deg2rad(12)


def test_letters_stand_from_left_to_right():
    assert extent("ab")[1, 0] > 1.5 * extent("a")[1, 0]
    assert extent("a b")[1, 0] > extent("ab")[1, 0]


@pytest.mark.parametrize("text", ["$x$", "a_b^c", r"\alpha", "100%"])
def test_nothing_has_a_special_meaning(text):
    singly = sum(len(words.outlines(letter, FONT)) for letter in text)
    assert len(words.outlines(text, FONT)) == singly


@pytest.mark.parametrize(
    ("text", "font", "said"),
    [
        ("Hi", "DejaVu Sand", "isn't installed. Did you mean 'DejaVu Sans'?"),
        ("Hi", "Nonesuch", "'Nonesuch' isn't installed"),
        ("漢字", FONT, "has no '漢' (U+6F22)"),
        ("a\nb", FONT, r"has no '\n' (U+000A)"),
        ("   ", FONT, "nothing to see"),
        ("", FONT, "nothing to see"),
        ("Hi", "", "Font '' isn't installed"),
        ("Hi", "a:b", "Font 'a:b' isn't installed"),
        ("Hi", "DejaVu Sans:bold", "Did you mean 'DejaVu Sans'?"),
        ("Hi", "/etc/passwd", "isn't installed"),
    ],
)
def test_what_cannot_be_written_is_said(text, font, said):
    with pytest.raises(PointillistError) as error:
        words.outlines(text, font)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@given(text=st.text(min_size=1, max_size=8))
def test_any_text_is_written_or_refused(text):
    try:
        lines = words.outlines(text, FONT)
    except PointillistError:
        return
    assert all(np.isfinite(line).all() and len(line) > 2 for line in lines)


@given(font=st.text(max_size=12))
def test_a_font_by_chance_is_refused(font):
    with pytest.raises(PointillistError, match="isn't installed"):
        words.outlines("Hi", font)
