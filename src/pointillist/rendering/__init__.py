"""Arrays to figures and animations: matplotlib's object interface, numpy and Pillow only."""

from typing import TYPE_CHECKING, Any, TypeAlias

import lazy_loader

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure
else:
    # Kedro reads the types of all nodes before it runs any: those of figures shall cost nothing.
    Figure: TypeAlias = Any

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "animation",
        "curves",
        "encoders",
        "explanations",
        "fields",
        "figures",
        "gallery",
        "player",
        "report",
        "style",
        "views",
    ],
)
