"""Every shape that needs no file, learnt with the defaults; and the time it takes to ingest a source.

Quality is that of one run a shape, with the first held-out seed, through Kedro sessions as in
quality.py. The picture of it, `gallery.png`, is the gallery pipeline's, from the models of these very
runs. Ingest times are whole processes, `kedro run --pipelines ingest`; the photograph is one that
scikit-learn brings along, scaled to 1000 x 1000 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from benchmarks.common import (
    FOLDER,
    HELD_OUT,
    Figures,
    Options,
    kedro,
    kedro_metrics,
    project_copy,
    say,
    summary,
    table,
)

if TYPE_CHECKING:
    from PIL.Image import Image

TITLE = "Every shape"

_DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<path d="M10 80 C 30 10, 70 10, 90 80 S 40 90 10 80 Z"/><circle cx="50" cy="50" r="20"/></svg>"""


def measure(options: Options) -> Figures:
    """Return metrics by shape, and seconds of ingestion by kind of source."""
    from pointillist import shapes

    origins = {origin.name: origin for origin in shapes.listing(Path("nowhere"))}
    names = options.shapes or (("dots", "moons") if options.smoke else tuple(origins))
    with project_copy() as project:
        runs = {}
        for name in names:
            overrides = {**options.shortened, "shape": name, "seed": HELD_OUT}
            runs[name] = kedro_metrics(project, "base", overrides)
            ratio = runs[name]["sw2"] / runs[name]["sw2_floor"]
            say(f"shapes: {name}: sw2 / floor {ratio:.2f}")
        kedro(project, "run", "--pipelines", "gallery")
        if not options.smoke:
            _keep_picture(project)
        ingest = _ingest_times(project, names, options)
    return {"seed": HELD_OUT, "runs": runs, "ingest": ingest}


def report(figures: Figures) -> Iterator[str]:
    """Yield a row for each shape, then the times."""
    runs: dict[str, dict[str, float]] = figures["runs"]
    worst = max(runs, key=lambda name: _ratio(runs[name], "sw2"))
    yield (
        f"Defaults, one run each, seed {figures['seed']}; n = {next(iter(runs.values()))['n_eval']:.0f}. "
        "Each figure / its floor, and their ratio."
    )
    yield ""
    yield "![Every shape beside what its model paints](gallery.png)"
    yield ""
    yield from table(
        ("shape", "sw2", "", "off_manifold", "", "c2st", "kl_bound_nats"),
        (
            (
                name,
                f"{run['sw2']:.4f} / {run['sw2_floor']:.4f}",
                f"{_ratio(run, 'sw2'):.2f}",
                f"{run['off_manifold']:.4f} / {run['off_manifold_floor']:.4f}",
                f"{_ratio(run, 'off_manifold'):.2f}",
                f"{run['c2st']:.3f}",
                f"{run['kl_bound_nats']:.4f} ± {run['kl_bound_nats_error']:.4f}",
            )
            for name, run in runs.items()
        ),
    )
    ratios = [_ratio(run, "sw2") for run in runs.values()]
    yield f"sw2 / floor: mean {mean(ratios):.2f}, worst {max(ratios):.2f} ({worst})."
    yield ""
    yield _proven(runs)
    yield ""
    yield from table(
        ("kedro run --pipelines ingest, s", "median", "least", "greatest"),
        (
            (name, *(f"{value[key]:.2f}" for key in ("median", "min", "max")))
            for name, value in figures["ingest"].items()
        ),
    )


def _proven(runs: dict[str, dict[str, float]]) -> str:
    """Say how many names were learnt to the default goal, and how near the formulas' samples are."""
    from pointillist.diffusion.config import Training
    from pointillist.shapes import formulas

    until = Training().until
    assert until is not None
    good = [name for name, run in runs.items() if run["kl_bound_nats"] <= until]
    known = [name for name in runs if name in formulas.NAMES]
    off = [_ratio(runs[name], "off_manifold") for name in known]
    among = f", {sum(name in good for name in known)} of the {len(known)} formulas among them"
    return (
        f"kl_bound_nats is at most {until:g} for {len(good)} of {len(runs)} names"
        f"{among if known else ''}."
        + (f" off_manifold / floor: mean over the formulas {mean(off):.2f}." if off else "")
    )


def _ratio(run: dict[str, float], name: str) -> float:
    floor = run[f"{name}_floor"]
    return run[name] / floor if floor else float("nan")


def _ingest_times(
    project: Path, names: tuple[str, ...], options: Options
) -> dict[str, dict[str, float]]:
    """Time each built-in shape once, then each kind of source several times."""
    every = {name: kedro(project, "run", *_ingest(f"shape={name}")) for name in names}
    slowest = max(every, key=lambda name: every[name])
    (project / "drawing.svg").write_text(_DRAWING)
    _photograph().save(project / "photograph.jpg", quality=90)
    kinds = {
        f"the slowest built-in shape ({slowest})": f"shape={slowest}",
        "a word, outlined": "text=Hello",
        "a word, filled with 4,000 points": "text=Hello,source.filled=true",
        "a drawing (SVG)": "shape_file=drawing.svg",
        "a photograph of 1000 x 1000, 4,000 points": "shape_file=photograph.jpg,source.n_points=4000",
    }
    times = {
        kind: summary(kedro(project, "run", *_ingest(words)) for _ in range(options.repeats))
        for kind, words in kinds.items()
    }
    return {f"all {len(every)} built-in shapes, once each": summary(every.values()), **times}


def _ingest(parameters: str) -> tuple[str, ...]:
    return "--pipelines", "ingest", "--params", parameters


def _photograph() -> Image:
    from PIL.Image import fromarray
    from sklearn.datasets import load_sample_image

    return fromarray(load_sample_image("flower.jpg")).resize((1000, 1000))


def _keep_picture(project: Path) -> None:
    from PIL.Image import open as open_image

    (picture,) = project.glob("data/08_reporting/gallery/gallery.png/*/gallery.png")
    with open_image(picture) as image:
        image.convert("RGB").quantize(255).save(FOLDER / "gallery.png", optimize=True)
