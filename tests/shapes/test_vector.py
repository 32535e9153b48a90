"""Drawings: what an SVG shows becomes lines; what is hostile or empty is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointillist.errors import PointillistError
from pointillist.shapes import vector

XMLNS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
BOAT = Path(__file__).parents[2] / "docs" / "examples" / "boat.svg"


def svg(inside: str, attributes: str = "") -> str:
    return f"<svg {XMLNS} {attributes}>{inside}</svg>"


def read(folder: Path, content: str | bytes) -> list[np.ndarray]:
    file = folder / "drawing.svg"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return vector.read(file)


def extent(lines: list[np.ndarray]) -> list[float]:
    points = np.concatenate(lines)
    return [*points.min(0), *points.max(0)]


def test_the_boat_of_the_docs_is_read_and_stands_upright():
    lines = vector.read(BOAT)
    assert len(lines) == 8
    hull, mast = lines[0], lines[1]
    assert mast[:, 1].max() > hull[:, 1].max()


@pytest.mark.parametrize(
    ("element", "box"),
    [
        ('<path d="M1 2 L5 2 L5 8 Z"/>', [1, -8, 5, -2]),
        ('<polygon points="1,2 5,2 5,8"/>', [1, -8, 5, -2]),
        ('<polyline points="1,2 5,2 5,8"/>', [1, -8, 5, -2]),
        ('<line x1="1" y1="2" x2="5" y2="8" stroke="black"/>', [1, -8, 5, -2]),
        ('<circle cx="5" cy="5" r="3"/>', [2, -8, 8, -2]),
        ('<ellipse cx="5" cy="5" rx="3" ry="1"/>', [2, -6, 8, -4]),
        ('<rect x="1" y="2" width="4" height="6"/>', [1, -8, 5, -2]),
        ('<rect x="1" y="2" width="4" height="6" rx="1"/>', [1, -8, 5, -2]),
        ('<path d="m1 2 h4 v6 l-4 0 z"/>', [1, -8, 5, -2]),
        ('<path d="M0 0 C0 8 6 8 6 0"/>', [0, -6, 6, 0]),
        ('<path d="M0 0 Q3 8 6 0"/>', [0, -4, 6, 0]),
        ('<path d="M0 0 A3 3 0 0 1 6 0"/>', [0, 0, 6, 3]),
    ],
)
def test_every_element_is_where_it_is_drawn_and_y_points_up(tmp_path, element, box):
    np.testing.assert_allclose(extent(read(tmp_path, svg(element))), box, atol=0.01)


def test_curves_are_flattened_finely(tmp_path):
    (line,) = read(tmp_path, svg('<circle cx="0" cy="0" r="100"/>'))
    np.testing.assert_allclose(np.hypot(*line.T), 100, atol=0.02)
    middles = (line[1:] + line[:-1]) / 2
    np.testing.assert_allclose(np.hypot(*middles.T), 100, atol=0.1)
    np.testing.assert_allclose(line[0], line[-1], atol=1e-6)


@pytest.mark.parametrize(
    ("element", "box"),
    [
        ('<g transform="translate(10 20)"><circle r="1"/></g>', [9, -21, 11, -19]),
        ('<rect width="2" height="1" transform="rotate(90)"/>', [-1, -2, 0, 0]),
        ('<g transform="scale(2)"><ellipse rx="1" ry="2"/></g>', [-2, -4, 2, 4]),
        ('<path d="M0 0 L1 1" transform="matrix(1 0 0 -1 3 0)"/>', [3, 0, 4, 1]),
        ('<defs><path id="p" d="M0 0 L1 1"/></defs><use href="#p" x="5"/>', [5, -1, 6, 0]),
        ('<symbol id="p"><path d="M0 0 L1 1"/></symbol><use href="#p" x="5"/>', [5, -1, 6, 0]),
        ('<defs><path id="p" d="M0 0 L1 1"/></defs><use xlink:href="#p" y="5"/>', [0, -6, 1, -5]),
    ],
)
def test_transforms_and_uses_are_applied(tmp_path, element, box):
    np.testing.assert_allclose(extent(read(tmp_path, svg(element))), box, atol=0.01)


@pytest.mark.parametrize(
    "hidden",
    [
        'style="display:none"',
        'display="none"',
        'visibility="hidden"',
        'fill="none"',
        'style="fill:none;stroke:none"',
        'opacity="0"',
        'class="h"',
    ],
)
def test_what_is_not_shown_does_not_count(tmp_path, hidden):
    style = "<style>.h{display:none}</style>"
    other = f'{style}<path d="M0 0 L1 1"/><rect width="50" height="50" {hidden}/>'
    np.testing.assert_allclose(extent(read(tmp_path, svg(other))), [0, -1, 1, 0], atol=1e-9)


@pytest.mark.parametrize("tag", ["defs", "clipPath", "mask", "pattern", "marker", "symbol"])
def test_what_is_only_referred_to_is_not_drawn(tmp_path, tag):
    other = f'<{tag} id="a"><rect width="50" height="50"/></{tag}><path d="M0 0 L1 1"/>'
    np.testing.assert_allclose(extent(read(tmp_path, svg(other))), [0, -1, 1, 0], atol=1e-9)


def test_a_drawing_as_inkscape_writes_it(tmp_path):
    """A document type without entities, units, a view box, layers, a style sheet, a gradient."""
    content = f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
    <!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"
      "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
    <svg {XMLNS} width="210mm" height="297mm" viewBox="0 0 210 297"
      xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape">
    <style>.line{{fill:none;stroke:#000}}</style>
    <defs><linearGradient id="g"><stop offset="0"/></linearGradient></defs>
    <g inkscape:label="Layer 1" inkscape:groupmode="layer" transform="translate(10,20)">
    <a xlink:href="https://example.org"><circle cx="50" cy="50" r="20" style="fill:url(#g)"/></a>
    <path class="line" d="m 10,100 c 20,-20 40,20 60,0 z m 80 0 h 20"/></g></svg>"""
    circle, first, second = read(tmp_path, content)
    # 210 mm are 793.7 px at 96 to the inch.
    assert np.ptp(circle[:, 0]) == pytest.approx(40 * 793.70 / 210, rel=1e-3)
    assert len(second) == 2
    assert (first[0] == first[-1]).all()


def test_no_namespace_is_no_hindrance(tmp_path):
    assert len(read(tmp_path, '<svg><path d="M0 0 L1 1"/></svg>')) == 1


def uses(depth: int) -> str:
    layers = [f'<g id="u{k}">' + f'<use href="#u{k - 1}"/>' * 10 + "</g>" for k in range(1, depth)]
    return (
        '<defs><path id="u0" d="M0 0 L1 1"/>'
        + "".join(layers)
        + f'</defs><use href="#u{depth - 1}"/>'
    )


REFUSED = {
    "text": ("x,y\n1,2\n", "is no SVG"),
    "another xml": ("<html/>", "begins with <html>"),
    "cut off": (f"<svg {XMLNS}><path d='M0", "is no SVG"),
    "compressed": (gzip.compress(svg("<circle r='1'/>").encode()), "is compressed (SVGZ)"),
    "nothing": (svg(""), "draws no line. It needs a visible path"),
    "only text": (svg("<text>Hi</text>"), "convert it to paths first"),
    "a point": (svg('<path d="M1 1"/>'), "draws no line"),
    "no length": (svg('<path d="M1 1 L1 1"/>'), "draws no line"),
    "no radius": (svg('<circle r="0"/>'), "draws no line"),
    "linked use": (svg('<use href="other.svg#p"/>'), "refers to 'other.svg#p', outside the file"),
    "linked image": (svg('<image href="http://x/y.png"/>'), "refers to 'http://x/y.png'"),
    "url outside": (svg('<path d="M0 0L1 1" fill="url(http://x/y)"/>'), "'http://x/y'"),
    "quoted url": (svg("<path d='M0 0L1 1' style='fill:url(\"a.svg#g\")'/>"), "'a.svg#g'"),
    "import": (svg("<style>@import 'x.css';</style><circle r='1'/>"), "x.css"),
    "entities": (
        '<!DOCTYPE svg [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>' + svg("<text>&c;</text>"),
        "declares entities",
    ),
    "external entity": (
        '<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + svg("<text>&a;</text>"),
        "declares entities",
    ),
    "itself": (svg('<g id="a"><use href="#a"/><circle r="1"/></g>'), "shows itself"),
    "uses of uses": (svg(uses(9)), "unfolds to more than 100,000 elements"),
    "deep": (svg("<g>" * 500 + "<circle r='1'/>" + "</g>" * 500), "nested more than 200 deep"),
    "huge": (svg('<path d="M0 0 L1e300 5"/>'), "aren't finite, or above 1e+09"),
    "wild": (svg('<path d="M0 0 L1e999 5"/>'), "drawing.svg"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_hostile_or_empty_is_refused(tmp_path, case):
    content, said = REFUSED[case]
    with pytest.raises(PointillistError) as error:
        read(tmp_path, content)
    assert said in str(error.value)
    assert str(tmp_path / "drawing.svg") in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_nested_uses_within_bounds_are_drawn(tmp_path):
    assert len(read(tmp_path, svg(uses(3)))) == 100


@given(data=st.data())
def test_a_damaged_drawing_gives_lines_or_our_error(tmp_path_factory, data):
    content = bytearray(BOAT.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        lines = read(tmp_path_factory.mktemp("damaged"), bytes(content))
    except PointillistError:
        return
    assert all(np.isfinite(line).all() and line.shape[1] == 2 for line in lines)


PATH = st.text(st.sampled_from("MmLlHhVvCcSsQqTtAaZz0123456789.,- eE+"), max_size=60)


@given(path=PATH, transform=st.text("rotaeslcnmix(1,2.-) ", max_size=30))
def test_any_path_gives_lines_or_our_error(tmp_path_factory, path, transform):
    content = svg(f'<path d="M0 0 {path}" transform="{transform}"/>')
    try:
        lines = read(tmp_path_factory.mktemp("paths"), content)
    except PointillistError:
        return
    assert all(np.isfinite(line).all() for line in lines)
