"""The classics of the field, each placed by its formula.

Points lie evenly: along a curve at equal steps of its parameter, over an area and in a Gaussian on a
low-discrepancy sequence that the seed shifts. So 2,000 points show a density as well as many more
drawn by chance, and the same options give the same points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING

from pointillist.errors import PointillistError, nearest
from pointillist.shapes.curves import along

if TYPE_CHECKING:
    import numpy as np

    from pointillist.shapes.config import Source

N_POINTS = 2_000
_KNOBS = ("noise", "count", "turns")
# The plastic number: its powers are to pairs what the golden ratio is to numbers (Roberts 2018,
# "The unreasonable effectiveness of quasirandom sequences").
_PLASTIC = 1.324717957244746


@dataclass(frozen=True)
class Formula:
    """A shape by its formula.

    `place` takes n, seed and the knobs that stand in its signature, with this formula's defaults;
    `counts` are the least and greatest count that make sense.
    """

    place: Callable[..., np.ndarray]
    about: str
    counts: tuple[int, int] = (1, 64)

    @property
    def knobs(self) -> dict[str, float]:
        """What can be set, by name, with this formula's own value."""
        parameters = signature(self.place).parameters
        return {knob: parameters[knob].default for knob in _KNOBS if knob in parameters}


def place(name: str, options: Source) -> np.ndarray:
    """Place the points of formula `name` (n, 2), float64, in the formula's own units.

    Raises
    ------
    PointillistError
        If there is no such formula, or `options` set a knob that it does not take, a count out of
        its range, or fewer points than it has parts.
    """
    if name not in FORMULAS:
        raise PointillistError(
            f"Formula {name!r} is unknown.{nearest(name, NAMES)} Known: {', '.join(NAMES)}."
        )
    formula = FORMULAS[name]
    given = {knob: value for knob in _KNOBS if (value := getattr(options, knob)) is not None}
    for knob in given:
        if knob not in formula.knobs:
            taken = " and ".join(f"source.{known}" for known in formula.knobs)
            raise PointillistError(
                f"source.{knob} has no effect on {name}, which takes {taken}. Leave it out."
            )
    low, high = formula.counts
    if not low <= given.get("count", low) <= high:
        raise PointillistError(
            f"source.count={given['count']} is out of range for {name}, which takes {low} to {high}."
        )
    n = options.n_points if options.n_points is not None else N_POINTS
    return formula.place(n, options.seed, **given)


def about(name: str) -> str:
    """Return one line on formula `name`: what it is, where it is from, what can be set."""
    formula = FORMULAS[name]
    knobs = ", ".join(f"source.{knob}={value:g}" for knob, value in formula.knobs.items())
    return f"{formula.about}; {knobs}"


def moons(n: int, seed: int, noise: float = 0.05) -> np.ndarray:
    """Two interleaved half circles of radius 1, as scikit-learn's `make_moons`."""
    import numpy as np

    moon, u = _blocks(n, 2)
    angle = np.pi * u
    x, y = np.cos(angle), np.sin(angle)
    curve = np.stack((np.where(moon == 0, x, 1 - x), np.where(moon == 0, y, 0.5 - y)), -1)
    return _blurred(curve, noise, seed)


def circles(n: int, seed: int, noise: float = 0.03, count: int = 2) -> np.ndarray:
    """Concentric circles of radius 1/count, 2/count, ... 1, each with as many points.

    Two are scikit-learn's `make_circles` with a factor of 1/2; four are FFJORD's rings.
    """
    import numpy as np

    circle, u = _blocks(n, count)
    radius = 1 - circle / count
    return _blurred(radius[:, None] * _direction(2 * np.pi * u), noise, seed)


def swiss_roll(n: int, seed: int, noise: float = 0.5, turns: float = 1.5) -> np.ndarray:
    """A spiral r = angle from 3/2 pi on, as x and z of scikit-learn's `make_swiss_roll`.

    Even in the angle, as there, and so denser inside.
    """
    import numpy as np

    _, u = _blocks(n, 1)
    angle = np.pi * (1.5 + 2 * turns * u)
    return _blurred(angle[:, None] * _direction(angle), noise, seed)


def s_curve(n: int, seed: int, noise: float = 0.05) -> np.ndarray:
    """Two three-quarter circles of radius 1 that make an S, as scikit-learn's `make_s_curve`."""
    import numpy as np

    _, u = _blocks(n, 1)
    angle = 3 * np.pi * (u - 0.5)
    curve = np.stack((np.sin(angle), np.sign(angle) * (np.cos(angle) - 1)), -1)
    return _blurred(curve, noise, seed)


def eight_gaussians(n: int, seed: int, noise: float = 0.5, count: int = 8) -> np.ndarray:
    """Gaussians of deviation `noise` around `count` points of a circle of radius 4.

    FFJORD's, before it divides by sqrt(2). Gulrajani et al. (2017) have the same with a deviation
    of 1/100 of the radius: noise 0.04 here.
    """
    import numpy as np

    mode, u = _blocks(n, count)
    return 4 * _direction(2 * np.pi * mode / count) + noise * _gaussian(u, seed)


def gaussian_grid(n: int, seed: int, noise: float = 0.1, count: int = 5) -> np.ndarray:
    """Gaussians of deviation `noise` on a square grid of `count` x `count` points, 2 apart.

    The test of coverage of Gulrajani et al. (2017), who have 5 x 5 with a deviation of 0.05.
    """
    import numpy as np

    mode, u = _blocks(n, count**2)
    modes = np.stack(np.divmod(mode, count), -1)
    return 2.0 * modes - (count - 1) + noise * _gaussian(u, seed)


def checkerboard(n: int, seed: int, noise: float = 0.0, count: int = 4) -> np.ndarray:
    """The even cells of a board of `count` x `count` cells over [-4, 4]^2, as in FFJORD."""
    import numpy as np

    column, row = np.divmod(np.arange(count**2), count)
    filled = np.stack((column, row), -1)[(column + row) % 2 == 0]
    cell, _ = _blocks(n, len(filled))
    corner = filled[cell]
    return _blurred((corner + _plane(n, seed)) * (8 / count) - 4, noise, seed)


def pinwheel(n: int, seed: int, noise: float = 0.1, count: int = 5) -> np.ndarray:
    """Curved arms around a circle of radius 1: Gaussians that turn by exp(r) / 4 at radius r.

    FFJORD's at half its size; it is from Johnson et al. (2016), "Composing graphical models with
    neural networks". Along an arm the deviation is 0.3, across it `noise`.
    """
    import numpy as np

    arm, u = _blocks(n, count)
    radius, across = _gaussian(u, seed).T * [[0.3], [noise]] + [[1], [0]]
    turn = 2 * np.pi * arm / count + np.exp(radius) / 4
    points = (radius + 1j * across) * np.exp(-1j * turn)
    return np.stack((points.real, points.imag), -1)


def two_spirals(n: int, seed: int, noise: float = 0.1, turns: float = 1.5) -> np.ndarray:
    """Two spirals r = angle / 3, half a turn apart, evenly along their length; FFJORD's."""
    import numpy as np

    angle = np.linspace(0, 2 * np.pi * turns, 400 * max(4, int(turns)))
    arm = angle[:, None] / 3 * _direction(np.pi - angle)
    return _blurred(along([arm, -arm], n), noise, seed)


def line(n: int, seed: int, noise: float = 0.0) -> np.ndarray:
    """The filled rectangle [-2, 2] x [-4, 4], which is called a line in tiny-diffusion."""
    return _blurred(_plane(n, seed) * (4, 8) - (2, 4), noise, seed)


def lissajous(n: int, seed: int, noise: float = 0.0, count: int = 3) -> np.ndarray:
    """The closed curve x = sin(count a), y = sin((count + 1) a), evenly along its length."""
    import numpy as np

    angle = np.linspace(0, 2 * np.pi, 1_000 * (count + 1) + 1)
    curve = np.stack((np.sin(count * angle), np.sin((count + 1) * angle)), -1)
    return _blurred(along([curve], n), noise, seed)


def sierpinski(n: int, seed: int, noise: float = 0.0, count: int = 3) -> np.ndarray:
    """Sierpinski's triangle, or with more corners its sibling, even in its fractal measure.

    A point is the sum of the corners that its number's digits to the base `count` name, each shrunk
    once more by the ratio at which copies of the polygon in its corners touch.
    """
    import numpy as np

    quarter = np.arange(count // 4 + 1)
    ratio = 1 / (2 * np.cos(2 * np.pi * quarter / count).sum())
    corners = (1 - ratio) * _direction(np.pi / 2 + 2 * np.pi * np.arange(count) / count)
    points = np.zeros((n, 2))
    # The digits of (i + 1/2) / n, in whole numbers, so that none is lost to rounding.
    rest = 2 * np.arange(n) + 1
    for level in range(24):
        digit, rest = np.divmod(count * rest, 2 * n)
        points += ratio**level * corners[digit]
    return _blurred(points, noise, seed)


def tree(n: int, seed: int, noise: float = 0.0, count: int = 8) -> np.ndarray:
    """A tree of `count` generations of limbs, the first of length 1, evenly along them all.

    A limb bends by 1/4 radian and bears two: one turns on by 20 degrees and is 0.82 times as long,
    the other turns back by 40 and is 0.66 times as long. Left and right change places with every
    generation.
    """
    import numpy as np

    bend, turns, ratios = 0.25, np.radians((20.0, -40.0)), (0.82, 0.66)
    step = np.linspace(0, 1, 17)[:, None]
    foot, heading, length = np.zeros(1, dtype=complex), np.array([np.pi / 2]), np.ones(1)
    limbs: list[np.ndarray] = []
    for generation in range(count):
        side = (-1) ** generation
        # The arc of a circle whose direction turns from `heading` to `heading + side * bend`.
        arc = (np.exp(1j * side * bend * step) - 1) / (1j * side * bend)
        limb = foot + length * np.exp(1j * heading) * arc
        limbs += [np.stack((one.real, one.imag), -1) for one in limb.T]
        foot = np.tile(limb[-1], 2)
        heading = np.concatenate([heading + side * (bend + turn) for turn in turns])
        length = np.concatenate([length * ratio for ratio in ratios])
    return _blurred(along(limbs, n), noise, seed)


FORMULAS = {
    "checkerboard": Formula(checkerboard, "every other cell of a square board (FFJORD)", (1, 32)),
    "circles": Formula(circles, "concentric circles (scikit-learn; four: FFJORD's rings)"),
    "eight_gaussians": Formula(
        eight_gaussians, "Gaussians around a circle (Gulrajani et al. 2017; FFJORD)"
    ),
    "gaussian_grid": Formula(
        gaussian_grid, "a square grid of Gaussians (Gulrajani et al. 2017)", (1, 16)
    ),
    "line": Formula(line, "a filled rectangle (tiny-diffusion)"),
    "lissajous": Formula(lissajous, "a closed curve that crosses itself (Lissajous 1857)", (1, 20)),
    "moons": Formula(moons, "two interleaved half circles (scikit-learn)"),
    "pinwheel": Formula(pinwheel, "curved arms (Johnson et al. 2016; FFJORD)"),
    "s_curve": Formula(s_curve, "an S of two arcs (scikit-learn)"),
    "sierpinski": Formula(sierpinski, "a fractal triangle (Sierpinski 1915)", (3, 12)),
    "swiss_roll": Formula(swiss_roll, "a spiral (scikit-learn)"),
    "tree": Formula(tree, "a branching fractal", (1, 12)),
    "two_spirals": Formula(two_spirals, "two intertwined spirals (FFJORD)"),
}
NAMES = tuple(FORMULAS)


def _blocks(n: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Share n points among `parts`: the part of each (n,) and its place in it (n,), in (0, 1)."""
    import numpy as np

    if n < parts:
        raise PointillistError(
            f"source.n_points={n} is too few for {parts} parts. Raise it or lower source.count."
        )
    sizes = n // parts + (np.arange(parts) < n % parts)
    part = np.repeat(np.arange(parts), sizes)
    within = np.arange(n) - np.repeat(sizes.cumsum() - sizes, sizes)
    return part, (within + 0.5) / sizes[part]


def _plane(n: int, seed: int) -> np.ndarray:
    """Return n points (n, 2) of a low-discrepancy sequence in (0, 1)^2, shifted by the seed.

    Any stretch of it fills the square evenly.
    """
    import numpy as np

    step = _PLASTIC ** -np.arange(1.0, 3.0)
    shift = np.random.default_rng(seed).random(2)
    return (shift + np.arange(n)[:, None] * step) % 1


def _gaussian(u: np.ndarray, seed: int) -> np.ndarray:
    """Return points (n, 2) of standard Gaussians whose share within radius r is u(r) (n,) in (0, 1).

    Radii are the quantiles at u, each a golden angle on from the last, as in a sunflower.
    """
    import numpy as np

    golden = np.pi * (3 - 5**0.5)
    angle = np.random.default_rng(seed).random() * 2 * np.pi + golden * np.arange(len(u))
    return np.sqrt(-2 * np.log1p(-u))[:, None] * _direction(angle)


def _blurred(points: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """Add Gaussian noise of deviation `noise` to points (n, 2)."""
    import numpy as np

    return points + noise * np.random.default_rng(seed).standard_normal(points.shape)


def _direction(angle: np.ndarray) -> np.ndarray:
    """Return unit vectors (n, 2) at `angle` (n,), in radians."""
    import numpy as np

    return np.stack((np.cos(angle), np.sin(angle)), -1)
