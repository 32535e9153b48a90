"""What films and pages cost: 100 frames of 2,000 points at 480 px, drawn and encoded; sizes of pages.

The chain is the dinosaur's under the exact denoiser, so that nothing needs to be trained.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.common import Figures, Options, say, summary, table

TITLE = "Films and pages"

FRAMES, POINTS, SIDE = 100, 2_000, 480


def measure(options: Options) -> Figures:
    """Return seconds and sizes."""
    from benchmarks import learning
    from pointillist import diffusion, rendering
    from pointillist.diffusion.denoiser import exact_denoiser

    task = learning.make_task(learning.read_parameters("base", {"device": "cpu"}))
    path, density = task.model.denoiser.path, task.density
    sampling = task.parameters.sampling.model_copy(update={"n_samples": POINTS})
    start = diffusion.chains.start_distribution(density, path, "moments")
    generator = diffusion.devices.generator(0, "sample")
    steps = len(diffusion.chains.chain_levels(path, sampling)) - 1
    recorder = diffusion.chains.Recorder(100, steps)
    for state in diffusion.chains.sample(
        exact_denoiser(density, path), path, start, sampling, generator
    ):
        recorder.add(state)
    chain = recorder.chain()
    alpha, sigma = chain.alpha.numpy(), chain.sigma.numpy()
    states = chain.x.double().numpy() / ((alpha**2 + sigma**2) ** 0.5)[:, None, None]
    took: dict[str, list[float]] = {"draw": [], "gif": [], "webp": []}
    sizes: dict[str, float] = {}
    for _ in range(2 if options.smoke else options.repeats):
        started = time.perf_counter()
        frames = [
            frame.image
            for frame in rendering.animation.draw_frames(
                states,
                sigma / alpha,
                chain.steps.numpy(),
                density.anchors.numpy(),
                rendering.animation.Film("dino", SIDE),
                n_frames=FRAMES,
                points=POINTS,
            )
        ]
        took["draw"].append(time.perf_counter() - started)
        for name in ("gif", "webp"):
            started = time.perf_counter()
            encoder = rendering.encoders.ENCODERS[name]
            content = encoder(frames, fps=20, hold_seconds=2.0)
            took[name].append(time.perf_counter() - started)
            sizes[name] = len(content) / 1e6
    both = [a + b for a, b in zip(took["draw"], took["gif"], strict=True)]
    clean = density.sample(POINTS, generator)[0].numpy()
    scene = rendering.player.Scene(
        "dino",
        states,
        sigma / alpha,
        clean,
        states[0],
        density.anchors.numpy(),
        (0.0, 0.0),
        (1.0, 1.0),
        steps,
    )
    sizes["player, 2,000 points"] = len(rendering.player.page([scene], "dino", "").encode()) / 1e6
    say(f"films: {min(both):.2f} s")
    return {
        "seconds": {
            "drawn and encoded as GIF": summary(both),
            "of it drawn": summary(took["draw"]),
            "encoded as WebP instead": summary(took["webp"]),
        },
        "megabytes": sizes,
    }


def report(figures: Figures) -> Iterator[str]:
    """Yield both tables."""
    yield f"{FRAMES} frames of {POINTS:,} points, {SIDE} x {SIDE} px."
    yield ""
    yield from table(
        ("s", "median", "least", "greatest"),
        (
            (name, *(f"{value[key]:.2f}" for key in ("median", "min", "max")))
            for name, value in figures["seconds"].items()
        ),
    )
    yield from table(
        ("file", "MB"), ((name, f"{size:.2f}") for name, size in figures["megabytes"].items())
    )
