"""What the catalog checks when a table or document is loaded: that it is the one that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class Columns:
    """Refuses a table that has other columns, or a row that is not whole."""

    def __init__(self, columns: Sequence[str], optional: Sequence[str] = ()) -> None:
        self._columns, self._optional = list(columns), set(optional)

    def validate(self, data: pd.DataFrame) -> pd.DataFrame:
        """Return `data`. Raises ValueError."""
        if [name for name in data.columns if name not in self._optional] != self._columns:
            raise ValueError(f"its columns are not {', '.join(self._columns)}")
        if data.empty:
            raise ValueError("it has no row")
        for name, kind in data.dtypes.items():
            if kind.kind not in "fiu":
                raise ValueError(f"its {name} holds something else than numbers")
        return data


class Metrics:
    """Refuses a document that is not one of numbers by name."""

    def validate(self, data: Any) -> Any:
        """Return `data`. Raises ValueError."""
        if not isinstance(data, dict) or not data:
            raise ValueError("it holds no metrics")
        if wrong := [k for k, v in data.items() if not isinstance(v, int | float)]:
            raise ValueError(f"its {wrong[0]} is not a number")
        return data
