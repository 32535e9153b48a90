"""Drawings as a browser draws them: every SVG of the tests, held against Chromium's pictures of it."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from scipy.ndimage import distance_transform_edt

from pointillist.shapes import curves, vector

ROOT = Path(__file__).parents[2]
DRAWINGS = [*sorted((ROOT / "tests/shapes/drawings").glob("*.svg")), *ROOT.glob("docs/**/*.svg")]
SCALE = 4
"""Pixels of the screen for each px: 1.5 of them are well within a px."""
NEAR = 1.5
MARGIN = 8
WHITE_ON_CLEAR = {"white_on_clear.svg"}
"""Drawn in white without a ground: to be seen on a dark page."""

# What has no lines is left out. In the second picture strokes are thin: points go along their middle.
HIDE = "text, image, foreignObject { visibility: hidden !important }"
THIN = """
for (const element of document.querySelectorAll('path,line,polyline,polygon,circle,ellipse,rect')) {
  if (parseFloat(getComputedStyle(element).strokeWidth) > 0) {
    element.style.setProperty('stroke-width', '0.5px', 'important');
    element.style.setProperty('vector-effect', 'non-scaling-stroke', 'important');
  }
}"""


@pytest.fixture(scope="module")
def page(browser: Browser):
    context = browser.new_context(device_scale_factor=SCALE)
    yield context.new_page()
    context.close()


def edges(page: Page) -> np.ndarray:
    """Tell of each pixel, with a border of one around the picture, whether a neighbour differs."""
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), dtype=np.int16)
    shot = np.pad(shot, ((1, 1), (1, 1), (0, 0)), mode="edge")
    found = np.zeros(shot.shape[:2], dtype=bool)
    for axis in (0, 1):
        differs = (abs(np.diff(shot, axis=axis)) > 3).any(-1)
        for side in ((0, 1), (1, 0)):
            found |= np.pad(differs, [side if k == axis else (0, 0) for k in (0, 1)])
    return found


def drawn(page: Page, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges that Chromium draws, and those with strokes made thin."""
    page.goto(file.as_uri())
    width, height = page.evaluate(
        """([style, dark, margin]) => {
        const root = document.documentElement, sheet = document.createElementNS(root.namespaceURI, 'style');
        sheet.textContent = style + ` svg:root { position: absolute; left: ${margin}px; top: ${margin}px }`;
        root.append(sheet);
        root.style.background = dark ? 'black' : 'white';
        for (const side of ['width', 'height'])
          if (!root.hasAttribute(side)) root.setAttribute(side, root.viewBox.baseVal[side]);
        const box = root.getBoundingClientRect();
        return [box.width, box.height] }""",
        [HIDE, file.name in WHITE_ON_CLEAR, MARGIN],
    )
    page.set_viewport_size(
        {k: math.ceil(v) + 2 * MARGIN for k, v in zip(("width", "height"), (width, height))}
    )
    whole = edges(page)
    page.evaluate(THIN)
    return whole, edges(page)


@pytest.mark.parametrize("file", DRAWINGS, ids=lambda file: file.name)
def test_points_are_on_edges_that_a_browser_draws(page, file):
    drawing = vector.read(file)
    points = curves.along(drawing.lines, 1000) * (SCALE, -SCALE)
    whole, thin = drawn(page, file)
    away = distance_transform_edt(~(whole | thin))
    column, row = np.floor(points).astype(int).T + 1
    inside = (row >= 0) & (column >= 0) & (row < away.shape[0]) & (column < away.shape[1])
    assert inside.all()
    assert (away[row, column] > NEAR).mean() == 0
