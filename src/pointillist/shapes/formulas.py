"""The classics of the field, each a density by its formula.

A curve or an area under Gaussian noise is a mixture whose Gaussians stand evenly along it, each as wide
as the noise. At a distance of at most 3/2 of their deviation h from each other nothing of the single ones
is left to see: the ripple of such a row is 2 exp(-2 (pi h / distance)^2) = 0.03 % of its density
(Poisson's summation formula). So a wide curve takes a hundred Gaussians, and a mode is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING

from pointillist.errors import PointillistError, nearest
from pointillist.shapes.curves import along
from pointillist.shapes.points import Components

if TYPE_CHECKING:
    import numpy as np

    from pointillist.shapes.config import Source

MOST = 2_000
"""Gaussians of a formula, at most. A curve too thin for them is as wide as they need it to be."""

_KNOBS = ("noise", "count", "turns")
_SPACING = 1.5
"""Greatest distance between neighbours, in their deviations."""
_THINNEST = 0.01
"""Least deviation of a Gaussian, in the shape's own: that of a dot by default."""


@dataclass(frozen=True)
class Formula:
    """A shape by its formula.

    `density` takes the knobs that stand in its signature, with this formula's defaults; `counts` are the
    least and greatest count that make sense.
    """

    density: Callable[..., Components]
    about: str
    counts: tuple[int, int] = (1, 64)

    @property
    def knobs(self) -> dict[str, float]:
        """What can be set, by name, with this formula's own value."""
        parameters = signature(self.density).parameters
        return {knob: parameters[knob].default for knob in _KNOBS if knob in parameters}


def density(name: str, options: Source) -> Components:
    """Return the Gaussians of formula `name`, in its own units.

    Raises
    ------
    PointillistError
        If there is no such formula, or `options` set a knob that it does not take, or a count out of its
        range.
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
    return formula.density(**given)


def noise(name: str, options: Source) -> float:
    """Return the noise of formula `name`: what `options` say, else its own."""
    return FORMULAS[name].knobs["noise"] if options.noise is None else options.noise


def about(name: str) -> str:
    """Return one line on formula `name`: what it is, where it is from, what can be set."""
    formula = FORMULAS[name]
    knobs = ", ".join(f"source.{knob}={value:g}" for knob, value in formula.knobs.items())
    return f"{formula.about}; {knobs}"


def moons(noise: float = 0.05) -> Components:
    """Two interleaved half circles of radius 1, as scikit-learn's `make_moons`."""
    import numpy as np

    def curve(n: int) -> np.ndarray:
        moon, u = _blocks(n, 2)
        x, y = _direction(np.pi * u).T
        return np.stack((np.where(moon == 0, x, 1 - x), np.where(moon == 0, y, 0.5 - y)), -1)

    return _blurred(curve, noise)


def circles(noise: float = 0.03, count: int = 2) -> Components:
    """Concentric circles of radius 1/count, 2/count, ... 1, each with as much of the density.

    Two are scikit-learn's `make_circles` with a factor of 1/2; four are FFJORD's rings.
    """
    import numpy as np

    def curve(n: int) -> np.ndarray:
        circle, u = _blocks(n, count)
        return (1 - circle / count)[:, None] * _direction(2 * np.pi * u)

    return _blurred(curve, noise)


def swiss_roll(noise: float = 0.5, turns: float = 1.5) -> Components:
    """A spiral r = angle from 3/2 pi on, as x and z of scikit-learn's `make_swiss_roll`.

    Even in the angle, as there, and so denser inside.
    """
    import numpy as np

    def curve(n: int) -> np.ndarray:
        angle = np.pi * (1.5 + 2 * turns * _blocks(n, 1)[1])
        return angle[:, None] * _direction(angle)

    return _blurred(curve, noise)


def s_curve(noise: float = 0.05) -> Components:
    """Two three-quarter circles of radius 1 that make an S, as scikit-learn's `make_s_curve`."""
    import numpy as np

    def curve(n: int) -> np.ndarray:
        angle = 3 * np.pi * (_blocks(n, 1)[1] - 0.5)
        return np.stack((np.sin(angle), np.sign(angle) * (np.cos(angle) - 1)), -1)

    return _blurred(curve, noise)


def eight_gaussians(noise: float = 0.5, count: int = 8) -> Components:
    """Gaussians of deviation `noise` around `count` points of a circle of radius 4.

    FFJORD's, before it divides by sqrt(2). Gulrajani et al. (2017) have the same with a deviation
    of 1/100 of the radius: noise 0.04 here.
    """
    import numpy as np

    return _gaussians(4 * _direction(2 * np.pi * np.arange(count) / count), noise)


def gaussian_grid(noise: float = 0.1, count: int = 5) -> Components:
    """Gaussians of deviation `noise` on a square grid of `count` x `count` points, 2 apart.

    The test of coverage of Gulrajani et al. (2017), who have 5 x 5 with a deviation of 0.05.
    """
    import numpy as np

    modes = np.stack(np.divmod(np.arange(count**2), count), -1)
    return _gaussians(2.0 * modes - (count - 1), noise)


def checkerboard(noise: float = 0.0, count: int = 4) -> Components:
    """The even cells of a board of `count` x `count` cells over [-4, 4]^2, as in FFJORD."""
    import numpy as np

    cells = np.stack(np.divmod(np.arange(count**2), count), -1)
    filled = cells[cells.sum(1) % 2 == 0]

    def area(n: int) -> np.ndarray:
        square = _square(n / len(filled))
        return (filled[:, None] + square).reshape(-1, 2) * (8 / count) - 4

    return _blurred(area, noise)


def pinwheel(noise: float = 0.1, count: int = 5) -> Components:
    """Curved arms around a circle of radius 1: Gaussians that turn by exp(r) / 4 at radius r.

    FFJORD's at half its size; it is from Johnson et al. (2016), "Composing graphical models with
    neural networks". Along an arm the deviation is 0.3, across it `noise`. An arm is a row of
    ellipses, each as long as the row is fine, so that together they have the deviation along it.
    """
    import numpy as np

    deviation, step = 0.3, 0.03
    fine = step / _SPACING
    reach = np.arange(-45, 46) * step
    shares = np.exp(-(reach**2) / (2 * (deviation**2 - fine**2)))
    arm, radius = 2 * np.pi * np.arange(count)[:, None] / count, 1 + reach
    heading = np.exp(-1j * (arm + np.exp(radius) / 4))
    along_arm = heading * (1 - 0.25j * radius * np.exp(radius))
    directions = (fine * along_arm, max(noise, _THINNEST) * 1j * heading)
    vectors = np.stack([np.stack((d.real, d.imag), -1).reshape(-1, 2) for d in directions], -1)
    points = radius * heading
    return Components(
        np.stack((points.real, points.imag), -1).reshape(-1, 2),
        np.tile(shares, count),
        vectors @ vectors.transpose(0, 2, 1),
    )


def two_spirals(noise: float = 0.1, turns: float = 1.5) -> Components:
    """Two spirals r = angle / 3, half a turn apart, evenly along their length; FFJORD's."""
    import numpy as np

    angle = np.linspace(0, 2 * np.pi * turns, 400 * max(4, int(turns)))
    arm = angle[:, None] / 3 * _direction(np.pi - angle)
    return _blurred(lambda n: along([arm, -arm], n), noise)


def line(noise: float = 0.0) -> Components:
    """The filled rectangle [-2, 2] x [-4, 4], which is called a line in tiny-diffusion."""
    import numpy as np

    def area(n: int) -> np.ndarray:
        square = _square(n / 2)
        return 4 * np.concatenate((square, square + np.array((0, 1)))) - (2, 4)

    return _blurred(area, noise)


def lissajous(noise: float = 0.0, count: int = 3) -> Components:
    """The closed curve x = sin(count a), y = sin((count + 1) a), evenly along its length."""
    import numpy as np

    angle = np.linspace(0, 2 * np.pi, 1_000 * (count + 1) + 1)
    curve = np.stack((np.sin(count * angle), np.sin((count + 1) * angle)), -1)
    return _blurred(lambda n: along([curve], n), noise)


def sierpinski(noise: float = 0.0, count: int = 3) -> Components:
    """Sierpinski's triangle, or with more corners its sibling, even in its fractal measure.

    A point is the sum of the corners that its number's digits to the base `count` name, each shrunk
    once more by the ratio at which copies of the polygon in its corners touch.
    """
    import numpy as np

    quarter = np.arange(count // 4 + 1)
    ratio = 1 / (2 * np.cos(2 * np.pi * quarter / count).sum())
    corners = (1 - ratio) * _direction(np.pi / 2 + 2 * np.pi * np.arange(count) / count)

    def fractal(n: int) -> np.ndarray:
        n = count ** max(1, round(np.log(n) / np.log(count)))
        points = np.zeros((n, 2))
        # The digits of (i + 1/2) / n, in whole numbers, so that none is lost to rounding.
        rest = 2 * np.arange(n) + 1
        for level in range(24):
            digit, rest = np.divmod(count * rest, 2 * n)
            points += ratio**level * corners[digit]
        return points

    return _blurred(fractal, noise)


def tree(noise: float = 0.0, count: int = 8) -> Components:
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
    return _blurred(lambda n: along(limbs, n), noise)


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

    sizes = n // parts + (np.arange(parts) < n % parts)
    part = np.repeat(np.arange(parts), sizes)
    within = np.arange(n) - np.repeat(sizes.cumsum() - sizes, sizes)
    return part, (within + 0.5) / sizes[part]


def _square(n: float) -> np.ndarray:
    """Return about n points of an even grid in (0, 1)^2, at least four."""
    import numpy as np

    side = max(2, int(n**0.5))
    step = (np.arange(side) + 0.5) / side
    return np.stack(np.meshgrid(step, step, indexing="ij"), -1).reshape(-1, 2)


def _blurred(place: Callable[[int], np.ndarray], noise: float) -> Components:
    """Return a shape under Gaussian noise; place(n) has about n of its points, evenly.

    There are as few Gaussians as leave no ripple, and at most about `MOST`.
    """
    n = 64
    while True:
        points = place(n)
        wanted = max(noise, _THINNEST * float(points.std(0).max()))
        gap = _gap(points)
        if gap <= _SPACING * wanted or n >= MOST:
            return _gaussians(points, max(wanted, gap / _SPACING))
        n = min(MOST, 2 * n)


def _gaussians(points: np.ndarray, deviation: float) -> Components:
    """Return Gaussians of one deviation, or of the least that counts, at points (n, 2)."""
    import numpy as np

    deviation = max(deviation, _THINNEST * float(points.std(0).max()), _THINNEST**2)
    return Components(points, None, np.tile(deviation**2 * np.eye(2), (len(points), 1, 1)))


def _gap(points: np.ndarray) -> float:
    """Return the greatest distance of one of points (n, 2) from its nearest other."""
    from scipy.spatial import KDTree

    return float(KDTree(points).query(points, k=2)[0][:, 1].max())


def _direction(angle: np.ndarray) -> np.ndarray:
    """Return unit vectors (n, 2) at `angle` (n,), in radians."""
    import numpy as np

    return np.stack((np.cos(angle), np.sin(angle)), -1)
