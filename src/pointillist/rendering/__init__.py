"""Arrays to figures and animations: matplotlib's object interface, numpy and Pillow only."""

import lazy_loader

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
