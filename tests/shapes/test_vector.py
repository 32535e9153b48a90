"""Drawings: what an SVG shows becomes lines; what is hostile or empty is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointillist.errors import PointillistError
from pointillist.shapes import curves, vector

XMLNS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
BOAT = Path(__file__).parents[2] / "docs" / "examples" / "boat.svg"


def svg(inside: str, attributes: str = "") -> str:
    return f"<svg {XMLNS} {attributes}>{inside}</svg>"


def drawing(folder: Path, content: str | bytes) -> vector.Drawing:
    file = folder / "drawing.svg"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return vector.read(file)


def read(folder: Path, content: str | bytes) -> list[np.ndarray]:
    return drawing(folder, content).lines


def extent(lines: list[np.ndarray]) -> list[float]:
    points = np.concatenate(lines)
    return [*points.min(0), *points.max(0)]


def test_the_boat_of_the_docs_is_read_and_stands_upright():
    lines = vector.read(BOAT).lines
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
        ('<path d="M0 0 L1 1" stroke="black" transform="matrix(1 0 0 -1 3 0)"/>', [3, 0, 4, 1]),
        (
            '<defs><path id="p" d="M0 0 L1 1" stroke="black"/></defs><use href="#p" x="5"/>',
            [5, -1, 6, 0],
        ),
        (
            '<symbol id="p"><path d="M0 0 L1 1" stroke="black"/></symbol><use href="#p" x="5"/>',
            [5, -1, 6, 0],
        ),
        (
            '<defs><path id="p" d="M0 0 L1 1" stroke="black"/></defs><use xlink:href="#p" y="5"/>',
            [0, -6, 1, -5],
        ),
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
        'opacity="0.00"',
        'fill-opacity="0"',
        'fill="transparent"',
        'style="fill:none;stroke:#000;stroke-opacity:0"',
        'class="h"',
    ],
)
def test_what_is_not_shown_does_not_count(tmp_path, hidden):
    style = "<style>.h{display:none}</style>"
    other = f'{style}<path d="M0 0 L1 1" stroke="black"/><rect width="50" height="50" {hidden}/>'
    np.testing.assert_allclose(extent(read(tmp_path, svg(other))), [0, -1, 1, 0], atol=1e-9)


@pytest.mark.parametrize("tag", ["defs", "clipPath", "mask", "pattern", "marker", "symbol"])
def test_what_is_only_referred_to_is_not_drawn(tmp_path, tag):
    other = (
        f'<{tag} id="a"><rect width="50" height="50"/></{tag}><path d="M0 0 L1 1" stroke="black"/>'
    )
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
    assert len(read(tmp_path, '<svg><path d="M0 0 L1 1" stroke="black"/></svg>')) == 1


def uses(depth: int) -> str:
    layers = [
        f'<g id="u{k}">'
        + "".join(f'<use href="#u{k - 1}" x="{j * 10**k}"/>' for j in range(10))
        + "</g>"
        for k in range(1, depth)
    ]
    return (
        '<defs><path id="u0" d="M0 0 L1 1" stroke="black"/>'
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
    "svg in html": ("<!DOCTYPE html><html><svg/></html>", "is no SVG"),
    "outside with a blank": (svg("<path d='M0 0L1 1' fill='url( \"a.svg#g\" )'/>"), "'a.svg#g'"),
    "segments of uses": (
        svg(f'<path id="p" d="M0 0{"h1" * 3000}"/>' + '<use href="#p"/>' * 100),
        "unfolds to more than 200,000 elements and segments",
    ),
    "numbers of uses": (
        svg(f'<polyline id="p" points="{"1 2 " * 9000}"/>' + '<use href="#p"/>' * 100),
        "unfolds to more than 200,000 elements and segments",
    ),
    "itself": (svg('<g id="a"><use href="#a"/><circle r="1"/></g>'), "shows itself"),
    "its own clip path": (
        svg('<clipPath id="c"><path d="M0 0H1V1" clip-path="url(#c)"/></clipPath>'),
        "shows itself",
    ),
    "masks of masks": (
        svg(
            "<circle r='1' mask='url(#m6)'/>"
            + "".join(
                f"<mask id='m{k}'>" + f"<circle r='1' mask='url(#m{k - 1})'/>" * 10 + "</mask>"
                for k in range(7)
            )
        ),
        "unfolds to more than",
    ),
    "masks in a style sheet": (
        svg(
            "<circle r='1' mask='url(#m6)'/>"
            + "".join(
                f"<style>.m{k}{{mask:url(#m{k - 1})}}</style>"
                + (f"<mask id='m{k}'>" + f"<circle r='1' class='m{k}'/>" * 10 + "</mask>")
                for k in range(7)
            )
        ),
        "unfolds to more than",
    ),
    "rules for everything": (
        svg("<style>" + "g{fill:red}" * 9000 + "</style>" + "<g/>" * 9000),
        "rules of style",
    ),
    "uses of uses": (svg(uses(9)), "unfolds to more than 200,000 elements and segments"),
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


@given(data=st.data())
def test_a_drawing_cut_off_is_refused(tmp_path_factory, data):
    content = BOAT.read_bytes().rstrip()
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    with pytest.raises(PointillistError, match=r"is no SVG"):
        read(tmp_path_factory.mktemp("cut"), cut)


@given(content=st.binary(max_size=200))
def test_bytes_by_chance_are_refused(tmp_path_factory, content):
    with pytest.raises(PointillistError):
        read(tmp_path_factory.mktemp("bytes"), content)


@pytest.mark.parametrize(
    "around",
    ['<g style="fill:none;stroke:#000">{}</g>', '<g visibility="hidden">{}</g>', "<a>{}</a>"],
)
def test_what_a_group_says_holds_unless_its_child_says_otherwise(tmp_path, around):
    inside = around.format('<path d="M0 0 L1 1" stroke="black" visibility="visible"/>')
    assert len(read(tmp_path, svg(inside))) == 1


def test_a_hidden_group_hides_all_in_it(tmp_path):
    group = '<g style="display:none"><g><rect width="50" height="50" display="inline"/></g></g>'
    assert extent(read(tmp_path, svg(group + '<path d="M0 0 L1 1" stroke="black"/>'))) == [
        0,
        -1,
        1,
        0,
    ]


def test_an_icon_as_figma_writes_it(tmp_path):
    """Nothing painted by default, paths painted one by one, and a clip path of the whole page."""
    content = svg(
        '<g clip-path="url(#clip0)"><path d="M2 2H22V22H2Z" fill="currentColor"/></g>'
        '<defs><clipPath id="clip0"><rect width="24" height="24" fill="white"/></clipPath></defs>',
        'width="24" height="24" viewBox="0 0 24 24" fill="none"',
    )
    np.testing.assert_allclose(extent(read(tmp_path, content)), [2, -22, 22, -2], atol=1e-9)


def test_a_path_without_data_shows_nothing(tmp_path):
    assert len(read(tmp_path, svg('<path/><path d=""/><path d="M0 0 L1 1" stroke="black"/>'))) == 1


@pytest.mark.parametrize("paint", ["url(#g)", "url( #g )", "url('#g')", "url( '#g' )"])
def test_paint_from_the_file_itself_is_no_reference_outside(tmp_path, paint):
    gradient = '<linearGradient id="g"><stop/><stop offset="1" stop-color="red"/></linearGradient>'
    content = f'<defs>{gradient}</defs><path d="M0 0 L1 1 V0" fill="{paint}"/>'
    assert len(read(tmp_path, svg(content))) == 1


RING = "M0 0H30V30H0Z M10 10{}Z"
SAME, OTHER = RING.format("H20V20H10"), RING.format("V20H20V10")


@pytest.mark.parametrize(
    ("content", "hole"),
    [
        (f'<path d="{SAME}"/>', False),
        (f'<path d="{OTHER}"/>', True),
        (f'<path d="{SAME}" fill-rule="evenodd"/>', True),
        (f'<g style="fill-rule:evenodd"><path d="{OTHER}"/></g>', True),
        (f'<path d="{OTHER}" transform="matrix(-1 0 0 1 30 0)"/>', True),
        (f'<path d="{OTHER}"/><path d="M8 8H22V22H8Z"/>', False),
        (f'<path d="{OTHER}"/><path d="M8 8V22H22V8Z"/>', False),
        ('<rect width="30" height="30"/><path d="M8 8V22H22V8Z"/>', False),
        ('<rect width="30" height="30"/><path d="M8 8H22V22H8Z"/>', False),
    ],
)
def test_holes_are_those_of_one_element_and_its_fill_rule(tmp_path, content, hole):
    points = drawing(tmp_path, svg(content)).areas().place(900, seed=0)
    middle = (abs(points - (15, -15)) < 4.5).all(1).sum()
    assert middle == 0 if hole else middle > 50


DRAWINGS = Path(__file__).parent / "drawings"
ELBOW = [100, -110, 150, -40]


@pytest.mark.parametrize(
    ("name", "box"),
    [
        *(
            (name, ELBOW)
            for name in (
                *("white_background", "rgba_clear", "hex4", "fill_spaces", "important"),
                *("after_empty", "css_descendant"),
            )
        ),
        ("graphviz", [67, -110, 121, -38]),
        ("graphviz_gray_page", [5.3, -149.3, 162.7, -5.3]),
        ("clip_path", [20, -130, 120, -60.8]),
        ("mask", [20, -130, 120, -60.8]),
        ("symbol_sprite", [20, -100, 190, -20]),
        ("S_after_Q", [20, -140, 160, -45]),
        ("nested_offset_noviewbox", [2, -100, 110, -2]),
        ("transform_origin", [5, -86.8, 121.8, -5]),
        ("white_on_clear", [8, -56, 56, -8]),
        ("beyond_the_page", [0, -80, 100, 0]),
    ],
)
def test_what_is_visible_is_the_drawing(name, box):
    """Boxes worked out by hand; tests/browser holds the same files against a browser."""
    lines = vector.read(DRAWINGS / f"{name}.svg").lines
    np.testing.assert_allclose(extent(lines), box, atol=0.3)


def test_areas_of_a_line_that_crosses_itself_follow_its_rule():
    """The five-pointed star is empty in the middle: 100 px across and down from its corners."""
    points = vector.read(DRAWINGS / "self_crossing_evenodd.svg").areas().place(2000, seed=0)
    assert len(points) == 2000
    assert (np.hypot(*(points - (100, -80)).T) > 12).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<text>Hello\n you</text>", "1 text ('Hello you') left out"),
        ("<text>a</text><text>b</text>", "2 texts ('a', 'b') left out"),
        ("<image href='data:image/png;base64,AA=='/>", "1 embedded picture left out"),
        (
            (
                "<image/><image/>"
                "<foreignObject><p xmlns='http://www.w3.org/1999/xhtml'>Hi</p></foreignObject>"
            ),
            "1 text ('Hi') and 2 embedded pictures left out",
        ),
        ("<text display='none'>a</text><defs><text>b</text></defs>", ""),
    ],
)
def test_what_has_no_lines_is_said(tmp_path, caplog, content, said):
    read(tmp_path, svg(f"<circle r='5'/>{content}"))
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)


@pytest.mark.parametrize(
    ("paint", "kept"),
    [
        ("url(#p)", True),
        ("url(#none)", False),
        ("var(--none)", True),
        ("light-dark(red, none)", True),
        ("url(#none) red", True),
    ],
)
def test_paint_as_css_has_it(tmp_path, paint, kept):
    pattern = "<pattern id='p' width='2' height='2'><rect width='1' height='2'/></pattern>"
    content = svg(f"{pattern}<circle r='5'/><rect x='9' width='5' height='5' fill='{paint}'/>")
    assert len(read(tmp_path, content)) == 1 + kept


def test_edges_between_equal_colours_do_not_count(tmp_path):
    """Two overlapping squares of one colour are one outline, and what is covered is hidden."""
    squares = "<rect width='10' height='10'/><rect x='5' y='5' width='10' height='10'/>"
    covered = "<circle cx='7' cy='7' r='1' fill='red'/>" + squares
    points = curves.along(read(tmp_path, svg(covered)), 500)
    for left, top in ((0, 0), (5, -5)):
        low, high = (left + 0.3, top - 9.7), (left + 9.7, top - 0.3)
        assert not ((points > low) & (points < high)).all(1).any()


def test_a_line_far_longer_than_the_page_is_seen_on_it(tmp_path):
    content = '<path d="M-1e6 -1e6 L1e6 1e6" stroke="black"/>'
    (line,) = read(tmp_path, svg(content, 'width="100" height="100"'))
    np.testing.assert_allclose([line.min(0), line.max(0)], [[0, -100], [100, 0]], atol=0.5)


def test_strokes_that_are_dashed_are_dashes(tmp_path):
    content = '<path d="M0 0H100" stroke="black" stroke-width="2" stroke-dasharray="10"/>'
    lines = read(tmp_path, svg(content))
    assert len(lines) == 5
    assert [np.ptp(line[:, 0]) for line in lines] == pytest.approx([10] * 5, abs=0.3)
