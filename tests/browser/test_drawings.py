"""Drawings as a browser draws them: every SVG of the tests, held against Chromium's pictures of it."""

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from scipy.ndimage import binary_erosion, distance_transform_edt

from pointillist.shapes import curves, vector

ROOT = Path(__file__).parents[2]
DRAWINGS = [*sorted((ROOT / "tests/shapes/drawings").glob("*.svg")), *ROOT.glob("docs/**/*.svg")]
SCALE, MARGIN = 4, 8
"""Pixels of the screen for each px, so that 1.5 of them are well within a px; px around the page."""
AWAY, MISSED = 0.003, 0.03
"""Shares that are allowed: of points at hairs where edges touch; of edges, a hatching's."""
WHITE_ON_CLEAR = {"white_on_clear.svg"}
"""White without a ground: to be seen on a dark page."""
OWN_PAPER = {"dark_page.svg", "graphviz_gray_page.svg"}
"""Pages of one colour to their border."""

SHOW = """([dark, margin]) => {
  const root = document.documentElement, sheet = document.createElementNS(root.namespaceURI, 'style');
  sheet.textContent = `svg:root { position: absolute; left: ${margin}px; top: ${margin}px }
    text, image, foreignObject { visibility: hidden !important }`;
  root.append(sheet);
  root.style.background = dark ? 'black' : 'white';
  for (const side of ['width', 'height'])
    if (!root.hasAttribute(side)) root.setAttribute(side, root.viewBox.baseVal[side]);
  const box = root.getBoundingClientRect();
  return [box.width, box.height] }"""
EACH = """const set = (element, name, value) => element.style.setProperty(name, value, 'important');
  for (const element of document.querySelectorAll('path,line,polyline,polygon,circle,ellipse,rect')) {
    const style = getComputedStyle(element);
    const clear = ['none', 'rgba(0, 0, 0, 0)'].includes(style.stroke);
    const stroked = parseFloat(style.strokeWidth) > 0 && !clear;"""
# Points go along the middle of a stroke.
THIN = f"() => {{ {EACH} if (stroked) set(element, 'stroke-width', '0.5px'); \
  if (stroked) set(element, 'vector-effect', 'non-scaling-stroke') }} }}"
# Areas are what is filled, or what a line without a fill, or with one like the paper, goes round.
FILLED = f"""paper => {{ {EACH}
    if (stroked && (style.fill == 'none' || style.fill == paper)) set(element, 'fill', style.stroke);
    set(element, 'stroke', 'none') }} }}"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(device_scale_factor=SCALE)
    yield context.new_page()
    context.close()


def show(page: Page, file: Path) -> None:
    """Show a drawing with a margin around it."""
    page.goto(file.as_uri())
    sides = page.evaluate(SHOW, [file.name in WHITE_ON_CLEAR, MARGIN])
    width, height = (math.ceil(side) + 2 * MARGIN for side in sides)
    page.set_viewport_size({"width": width, "height": height})


def colors(page: Page) -> np.ndarray:
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return np.asarray(shot, dtype=np.int16)


def edges(shot: np.ndarray) -> np.ndarray:
    """Tell of each pixel whether a neighbour differs."""
    found = np.zeros(shot.shape[:2], dtype=bool)
    for axis in (0, 1):
        differs = (abs(np.diff(shot, axis=axis)) > 3).any(-1)
        for side in ((0, 1), (1, 0)):
            found |= np.pad(differs, [side if k == axis else (0, 0) for k in (0, 1)])
    return found


def pixels(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of points in px, y upwards."""
    column, row = np.floor((points * (1, -1) + MARGIN) * SCALE).astype(int).T
    return row, column


@pytest.mark.parametrize("file", DRAWINGS, ids=lambda file: file.name)
def test_lines_and_areas_are_those_that_a_browser_draws(page, file):
    drawing = vector.read(file)
    show(page, file)
    shot, corner = colors(page), SCALE * (MARGIN + 1)
    paper = shot[corner, corner] if file.name in OWN_PAPER else shot[0, 0]

    points = pixels(curves.along(drawing.lines, 3000))
    whole = edges(shot)
    page.evaluate(THIN)
    thin = edges(colors(page))
    assert (distance_transform_edt(~(whole | thin))[points] > 1.5).mean() <= AWAY
    # The border of the page is none of the drawing, whatever the page's colour.
    inside = np.pad(thin[corner:-corner, corner:-corner], corner)
    placed = np.zeros_like(thin)
    placed[points] = True
    assert (distance_transform_edt(~placed)[inside] > 3 * SCALE).mean() <= MISSED

    areas = drawing.areas()
    page.evaluate(FILLED, f"rgb({', '.join(map(str, paper))})")
    around = MARGIN * SCALE
    ink = (abs(colors(page)[around:-around, around:-around] - paper) > 3).any(-1)
    ink = np.pad(ink, around)
    row, column = np.nonzero(areas.mask)
    places = np.stack((column + 0.5, areas.mask.shape[0] - row - 0.5), -1)[:: len(row) // 5000 + 1]
    beside = distance_transform_edt(~ink)[pixels(places * areas.pixel + areas.corner)]
    assert (beside > 1.5).mean() <= AWAY
    # A pixel at an edge counts on both sides.
    border = (ink & ~binary_erosion(ink)).sum() / SCALE**2
    area = areas.mask.sum() * areas.pixel**2
    assert area == pytest.approx(ink.sum() / SCALE**2, abs=border + 0.01 * area)
