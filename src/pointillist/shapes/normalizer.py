"""The invertible map between original and model coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

Pair = tuple[float, float]


@dataclass(frozen=True)
class Normalizer:
    """Model coordinates = (original - center) / scale, per axis."""

    center: Pair
    scale: Pair

    @classmethod
    def fit(
        cls, points: np.ndarray, center: Pair | None = None, scale: Pair | None = None
    ) -> Normalizer:
        """Standardise `points` (N, 2), original coordinates, unless `center` or `scale` is given.

        The deviation is the population's, so that the anchors' is exactly 1. An axis along which
        the shape doesn't extend keeps the other's scale: a vertical line stays a line.
        """
        if scale is None:
            deviation = [float(d) for d in points.std(0)]
            reach = float(abs(points).max())
            flat = [d <= 1e-9 * max(reach, 1e-300) for d in deviation]
            scale = (
                deviation[1] if flat[0] else deviation[0],
                deviation[0] if flat[1] else deviation[1],
            )
        if center is None:
            mean = points.mean(0)
            center = (float(mean[0]), float(mean[1]))
        return cls(center, scale)

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
