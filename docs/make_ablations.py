"""`make ablations`: the sweeps of tiny-diffusion's README, our own, and the page that shows them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from benchmarks.common import kedro, project_copy

DOCS = Path(__file__).resolve().parent
PICTURES, RECORD = DOCS / "pictures", DOCS / "ablations.json"
_WIDEST, _COLOURS = 700, 24


@dataclass(frozen=True)
class Ablation:
    """One sweep, and what is said of it; the numbers come from its table."""

    name: str
    env: str
    title: str
    claim: str
    """What tiny-diffusion's README says, in our words."""
    verdict: str
    """What holds; {METRIC[VALUE]} is what was measured there, {METRIC[floor]} the floor."""


THEIRS = (
    Ablation(
        "learning_rate",
        "tiny_diffusion",
        "Learning rate",
        "the result depends strongly on it",
        "It does: the bound goes from {kl_bound_nats[0.0003]} nats at 3e-4, better than the 1e-3 "
        "of its recipe ({kl_bound_nats[0.001]}), to {kl_bound_nats[0.01]} at 1e-2. `sw2` hardly "
        "sees it ({sw2[0.0003]} and {sw2[0.01]}, floor {sw2[floor]}): the wrong start rules it.",
    ),
    Ablation(
        "dataset",
        "tiny_diffusion",
        "Dataset",
        "the line comes out with fuzzy corners",
        "{off_manifold[line]} of its points are off the shape (floor {off_manifold[floor line]}), but "
        "it is not the hardest: its bound is {kl_bound_nats[line]} nats, the dinosaur's "
        "{kl_bound_nats[dino]}. Standardised coordinates help more than a shape does: in its own,"
        " the dinosaur's `sw2` is several times as large.",
    ),
    Ablation(
        "timesteps",
        "tiny_diffusion",
        "Number of timesteps",
        "more are better; with few, points are missing at top and bottom",
        "So it looks: `sw2` falls from {sw2[10]} to {sw2[250]} (floor {sw2[floor]}), since a short "
        "forward process ends far from the N(0, I) in which the chain starts. The bound, which "
        "counts that start and the network's own error together, hardly moves "
        "({kl_bound_nats[10]} nats with 10, {kl_bound_nats[250]} with 250): what the start gains, "
        "the network, which has more to learn, loses.",
    ),
    Ablation(
        "variance_schedule",
        "tiny_diffusion",
        "Variance schedule",
        "quadratic is no better than linear; cosine and sigmoid are left to try",
        "Measured, the network learns least from linear ({kl_bound_nats[linear]} nats): "
        "quadratic ({kl_bound_nats[quadratic]}), sigmoid ({kl_bound_nats[sigmoid]}) and "
        "cosine ({kl_bound_nats[cosine]}) are better. But cosine, the only one that ends in "
        "noise, ends where this recipe's network multiplies its errors by the noise: some "
        "points fly far away (`sw2` {sw2[cosine]}).",
    ),
    Ablation(
        "hidden_size",
        "tiny_diffusion",
        "Hidden size",
        "it is not the bottleneck",
        "It holds: from {kl_bound_nats[32]} nats with 32 units to {kl_bound_nats[256]} with "
        "256 is less than what the learning rate or the schedule change.",
    ),
    Ablation(
        "hidden_layers",
        "tiny_diffusion",
        "Number of hidden layers",
        "nor is the depth",
        "It holds, and more: one layer ({kl_bound_nats[1]} nats) does no worse than five "
        "({kl_bound_nats[5]}).",
    ),
    Ablation(
        "time_embedding",
        "tiny_diffusion",
        "Embedding of the timestep",
        "how it is encoded does not matter",
        "Not quite: the plain number is better ({kl_bound_nats[identity]} nats) than "
        "sinusoids ({kl_bound_nats[sinusoidal]}) or Fourier features "
        "({kl_bound_nats[fourier]}).",
    ),
    Ablation(
        "input_embedding",
        "tiny_diffusion",
        "Embedding of the inputs",
        "sinusoids help with fine detail",
        "It holds: {kl_bound_nats[sinusoidal]} nats against {kl_bound_nats[identity]} "
        "without, and {off_manifold[sinusoidal]} of the points off the shape against "
        "{off_manifold[identity]}. Fourier features in many directions are better still "
        "({kl_bound_nats[fourier]}, {off_manifold[fourier]}).",
    ),
)
OURS = Ablation(
    "objectives",
    "",
    "What the output means, and what it is taught",
    "",
    "The default recipe, 1,100 steps for all, sampled along the flow by Heun's method. What is "
    "taught matters more than what the "
    "output means: with the exact target every prediction but x0 is at most "
    "{kl_bound_nats[dino/posterior/flow]} nats on the dinosaur, with a sampled one none below"
    " {kl_bound_nats[dino/sample/edm]}. edm is best with both "
    "({kl_bound_nats[dino/posterior/edm]}). x0 knows too little of low noise "
    "({kl_bound_nats[dino/posterior/x0]}), which the bound sees and samples hardly do (`sw2` "
    "{sw2[dino/posterior/x0]}, floor {sw2[floor]}); eps multiplies its errors at high noise, "
    "where its samples go astray (`sw2` {sw2[cat/posterior/eps]} on the cat).",
)
_INTRODUCTION = """\
# Ablations

Written by `make ablations` (`docs/make_ablations.py`) from the sweeps of
`conf/tiny_diffusion/sweeps.yml` and `conf/base/sweeps.yml`. Means ± standard deviation over two
seeds; in the last line of a table what a fresh draw of the truth scores. Pictures: what each
configuration's network paints after so many steps of training, from the same noise, all by the
same few steps along the flow from a start that fits. What its own chain makes of it the figures say.

## tiny-diffusion's own, measured

[tiny-diffusion](https://github.com/tanelp/tiny-diffusion) varies eight things and shows what is
painted. Here they are again on its recipe (`--env tiny_diffusion`), with a fifth of its epochs, and with
numbers: sw2 is the sliced Wasserstein distance, off_manifold the share of points off the shape,
kl_bound_nats bounds the error of the network and of its start, kl_ode_nats is the error of the ODE. Its
chain starts from N(0, I) though its last timestep still holds much of the signal; that costs more than
most of what is varied ([presets](presets.md))."""
METRICS = ("kl_bound_nats", "kl_ode_nats", "off_manifold", "sw2")


def main() -> None:
    """Carry out what is named on the command line, or all; then write the page from the record."""
    wanted = set(sys.argv[1:])
    every = (*THEIRS, OURS)
    if unknown := wanted - {ablation.name for ablation in every} - {"page"}:
        sys.exit(f"Unknown: {', '.join(unknown)}.")
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if wanted != {"page"}:
        with project_copy() as project:
            for ablation in every:
                if not wanted or ablation.name in wanted:
                    record[ablation.name] = _carry_out(project, ablation)
                    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    (DOCS / "ablations.md").write_text("\n".join(_page(record)) + "\n")


def _carry_out(project: Path, ablation: Ablation) -> list[dict[str, object]]:
    """Run a sweep, keep its picture, and return the rows of its table."""
    options = ["--env", ablation.env] if ablation.env else []
    kedro(project, "sweep", ablation.name, "--workers", "2", *options)
    folder = project / "data" / "08_reporting" / "sweeps" / ablation.name
    (table,) = folder.glob("table.csv/*/table.csv")
    (picture,) = folder.glob("samples.png/*/samples.png")
    with Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail((_WIDEST, 10 * _WIDEST))
        target = PICTURES / f"ablation_{ablation.name}.png"
        small.quantize(_COLOURS).save(target, optimize=True)
    print(f"{ablation.name}: {target.stat().st_size / 1e3:.0f} kB", flush=True)
    rows: list[dict[str, object]] = json.loads(pd.read_csv(table).to_json(orient="records"))
    return rows


def _page(record: dict[str, list[dict[str, object]]]) -> Iterator[str]:
    yield from _INTRODUCTION.splitlines()
    for ablation in THEIRS:
        if ablation.name in record:
            yield from _section(ablation, record[ablation.name])
    if OURS.name in record:
        yield ""
        yield "## Our own: objectives, targets, shapes"
        yield from _section(OURS, record[OURS.name])


def _section(ablation: Ablation, rows: list[dict[str, object]]) -> Iterator[str]:
    names = [name for name in rows[0] if "." in name or name == "shape"]
    metrics = [name for name in METRICS if name in rows[0]]
    yield ""
    yield f"### {ablation.title}"
    yield ""
    verdict = ablation.verdict.format(**_measured(names, metrics, rows))
    if said := " ".join(part for part in (_there(ablation), verdict) if part):
        yield said
        yield ""
    yield f"| {' | '.join(names)} | {' | '.join(metrics)} |"
    yield "|" + "---|" * (len(names) + len(metrics))
    for row in rows:
        values = [f"`{row[name]}`" for name in names]
        yield f"| {' | '.join([*values, *(_cell(row, name) for name in metrics)])} |"
    floors = [_floor(rows, name) for name in metrics]
    mean = "floor, mean over shapes" if "shape" in names else "floor"
    yield f"| {' | '.join([mean, *[''] * (len(names) - 1), *floors])} |"
    yield ""
    yield f"![{ablation.title}](pictures/ablation_{ablation.name}.png)"


def _there(ablation: Ablation) -> str:
    return f"There: {ablation.claim}." if ablation.claim else ""


def _measured(
    names: list[str], metrics: list[str], rows: list[dict[str, object]]
) -> dict[str, dict[str | int, str]]:
    """Return the cells by metric and by the value of what was varied, as a sentence refers to them."""
    found: dict[str, dict[str | int, str]] = {}
    for metric in metrics:
        cells: dict[str | int, str] = {"floor": _floor(rows, metric)}
        for row in rows:
            value = row[names[0]] if len(names) == 1 else "/".join(str(row[n]) for n in names)
            key = value if isinstance(value, int) else str(value)
            cells[key] = _cell(row, metric)
            cells[f"floor {key}"] = _floor([row], metric)
        found[metric] = cells
    return found


def _cell(row: dict[str, object], name: str) -> str:
    value, spread = row.get(name), row.get(f"{name}_std")
    if not isinstance(value, float):
        return "-"
    return f"{value:.3g}" + (f" ± {spread:.1g}" if isinstance(spread, float) else "")


def _floor(rows: list[dict[str, object]], name: str) -> str:
    floors = [v for row in rows if isinstance(v := row.get(f"{name}_floor"), float)]
    return f"{sum(floors) / len(floors):.3g}" if floors else "0"


if __name__ == "__main__":
    main()
