"""`make pictures`: every picture of the README and the docs, made by the project's own commands.

Each is one output of one `kedro run` in a copy of the project, with the defaults and seed 0; PNGs are
saved at most 1200 pixels wide with a palette of 128 colours, so that all of them together stay small.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from matplotlib.cbook import get_sample_data
from PIL import Image

from benchmarks.common import kedro, project_copy

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "pictures"


@dataclass(frozen=True)
class Run:
    """One command, and the outputs of it that are kept: file name in docs/pictures -> dataset's file."""

    parameters: str
    kept: dict[str, str]
    pipelines: str = "__default__"


_SMALL = "rendering.size=400,rendering.frames=50,rendering.points=1200"
_NIGHT = "rendering.theme=dark,rendering.palette=viridis,rendering.trails=5"
_FLOW = "sampling.sampler=heun,sampling.steps=40"
_WIDEST = 1200

RUNS = (
    Run(
        "shape=dino,rendering.frames=54,rendering.points=1500",
        {
            "dino.gif": "animation.gif",
            "process.png": "process.png",
            "risk.png": "risk.png",
            "samples.png": "samples.png",
        },
    ),
    Run("shape=dino", {"samplers.png": "samplers.png"}, "samplers"),
    Run(
        "shape=dino", {"training.png": "training_strip.png", "scores.png": "scores.png"}, "explain"
    ),
    Run(f"shape_file=boat.svg,{_SMALL},{_NIGHT},{_FLOW}", {"drawing.gif": "animation.gif"}),
    Run(
        "shape_file=portrait.jpg,source.n_points=8000,rendering.points=8000,rendering.frames=24,rendering.size=400",
        {"photograph.gif": "animation.gif", "photograph.png": "process.png"},
    ),
    Run("text=Hello,source.filled=true", {"word.png": "process.png"}),
)


def main() -> None:
    """Run what is named on the command line (file names), or all, and keep the pictures."""
    wanted = set(sys.argv[1:])
    if unknown := wanted - {name for run in RUNS for name in run.kept}:
        sys.exit(f"Unknown: {', '.join(unknown)}.")
    with project_copy() as project:
        shutil.copy(DOCS / "examples" / "boat.svg", project)
        # Grace Hopper, photographed by the U.S. Navy (public domain); matplotlib brings it along.
        shutil.copy(get_sample_data("grace_hopper.jpg", asfileobj=False), project / "portrait.jpg")
        for run in RUNS:
            if wanted and not wanted & set(run.kept):
                continue
            kedro(project, "run", "--pipelines", run.pipelines, "--params", run.parameters)
            for name, output in run.kept.items():
                found = project.glob(f"data/08_reporting/*/{output}/*/{output}")
                _keep(max(found, key=lambda path: path.stat().st_mtime), PICTURES / name)


def _keep(source: Path, target: Path) -> None:
    if target.suffix == ".png":
        with Image.open(source) as image:
            small = image.convert("RGB")
            small.thumbnail((_WIDEST, 10 * _WIDEST))
            small.quantize(128).save(target, optimize=True)
    else:
        shutil.copy(source, target)
    print(f"{target.relative_to(DOCS.parent)}: {target.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
