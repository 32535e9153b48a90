"""The invertible map between original and model coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

Pair = tuple[float, float]

# A shape so much thinner than long is a line. And a mean gathers rounding errors, some tens of units
# in the last place, so that the deviation of equal numbers isn't quite 0.
_THINNEST, _ROUNDING = 1e-9, 1e-14
_LONGEST = 20.0


@dataclass(frozen=True)
class Normalizer:
    """Model coordinates = (original - center) / scale, per axis."""

    center: Pair
    scale: Pair

    @classmethod
    def fit(
        cls,
        points: np.ndarray,
        center: Pair | None = None,
        scale: Pair | None = None,
        weights: np.ndarray | None = None,
        covariances: np.ndarray | None = None,
    ) -> Normalizer:
        """Standardise `points` (N, 2), original coordinates, unless `center` or `scale` is given.

        Points count by their `weights` (N,), positive; None: all alike. Where they are Gaussians with
        `covariances` (N, 2, 2), the scales make circles of these, in the mean. The deviation is the
        population's, so that the anchors' is exactly 1. An axis along which
        the shape extends by no more than rounding takes the other's scale: a vertical line stays a
        line. The scale is above 0 whenever two points differ by more than a double can square.
        """
        import numpy as np

        mean = _mean(points, weights)
        if scale is None:
            # Without weights numpy's own, whose rounding is less.
            deviation = (
                points.std(0) if weights is None else _mean((points - mean) ** 2, weights) ** 0.5
            )
            if covariances is not None:
                own = _mean(np.diagonal(covariances, axis1=1, axis2=2), weights)
                deviation = (own * ((deviation**2 + own) / own).mean()) ** 0.5
            flat = (deviation <= _THINNEST * deviation.max()) | (
                deviation <= _ROUNDING * abs(points).max(0)
            )
            x, y = (
                float(deviation.max() if f else d) for f, d in zip(flat, deviation, strict=True)
            )
            scale = (x, y)
        if center is None:
            center = (float(mean[0]), float(mean[1]))
        return cls(center, scale)

    @classmethod
    def for_pictures(cls, points: np.ndarray) -> Normalizer:
        """Return the coordinates in which `points` (N, 2) are drawn: around 0, extents of about 1.

        Both axes have one scale, as long as neither extent is more than `_LONGEST` times the other;
        beyond that each has its own, since a shape that is a line on paper shows nothing.
        """
        low, high = points.min(0), points.max(0)
        width, height = (float(side) for side in high - low)
        center = (float(low[0]) + width / 2, float(low[1]) + height / 2)
        shorter, longer = sorted((width, height))
        if 0 < shorter < longer / _LONGEST:
            return cls(center, (width, height))
        return cls(center, (longer or 1.0,) * 2)

    def apply(self, points: ArrayLike) -> np.ndarray:
        """Take points (..., 2) from original to model coordinates, in double precision."""
        import numpy as np

        return (np.asarray(points, dtype=np.float64) - self.center) / np.asarray(self.scale)

    def invert(self, points: ArrayLike) -> np.ndarray:
        """Take points (..., 2) from model to original coordinates, in double precision."""
        import numpy as np

        return np.asarray(points, dtype=np.float64) * self.scale + np.asarray(self.center)

    def to_dict(self) -> dict[str, list[float]]:
        """Return the map as plain lists."""
        return {"center": list(self.center), "scale": list(self.scale)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Normalizer:
        """Rebuild the map from `to_dict`."""
        (cx, cy), (sx, sy) = values["center"], values["scale"]
        return cls((float(cx), float(cy)), (float(sx), float(sy)))


def _mean(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return the mean (2,) of values (N, 2) by weights (N,)."""
    if weights is None:
        return values.mean(0)
    # From the first value on, so that a shape far from the origin loses no digits.
    return values[0] + (weights / weights.sum()) @ (values - values[0])
