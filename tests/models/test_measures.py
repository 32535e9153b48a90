"""What `evaluate` measures: the same on any number of threads, and in closed form where there is one."""

import math

import numpy as np
import pytest
import torch

from pointillist import diffusion, runtime, shapes
from pointillist.diffusion.config import Data, Evaluation, Network, Schedule
from pointillist.models import TrainedDenoiser, measures

FEW = Evaluation(
    n_eval=200, noise_levels=8, projections=10, bound_error=0.2, ode_error=0.2, ode_steps=8
)


def untrained(points, **given) -> TrainedDenoiser:
    path = diffusion.schedules.make_path(Schedule())
    denoiser = diffusion.denoiser.initialize(Network(width=16, depth=1, bandwidth=0.1), path, 0)
    return TrainedDenoiser(
        denoiser=denoiser.eval().requires_grad_(False),
        points=points,
        normalizer=shapes.Normalizer.fit(points, covariances=given.get("covariances")),
        shape="here",
        parameters={"data": Data(bandwidth=0.1).model_dump(mode="json")},
        **given,
    )


def test_metrics_are_the_same_bits_on_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(runtime, "_cores", lambda: 3)
    rng = np.random.default_rng(0)
    model, samples = untrained(rng.normal(size=(40, 2))), rng.normal(size=(200, 2))
    found = []
    before = runtime.threads()
    try:
        for threads in (1, 2, 3):
            runtime.use_threads(threads)
            found.append(measures.measure(model, samples, "moments", FEW, 0, "cpu"))
    finally:
        runtime.use_threads(before)
    (metrics, bound), *others = found
    for again, bound_again in others:
        assert again == metrics
        assert torch.equal(again_risk := bound_again.nats_per_log_ratio, bound.nats_per_log_ratio)
        assert len(again_risk) == 8


def test_entropy_is_that_of_the_gaussian_in_original_units():
    """Of N(m, C) it is log(2 pi e) + log|C| / 2."""
    spread = np.array([[4.0, 1.2], [1.2, 9.0]])
    model = untrained(np.array([[3.0, -2.0]]), covariances=spread[None])
    found, _ = measures.measure(
        model, np.random.default_rng(0).normal(size=(200, 2)), "moments", FEW, 0, "cpu"
    )
    expected = math.log(2 * math.pi * math.e) + math.log(np.linalg.det(spread)) / 2
    assert found["entropy"] == pytest.approx(expected, abs=4 * found["entropy_error"])
    assert found["entropy_error"] == pytest.approx(1 / math.sqrt(20_000), rel=0.05)
    assert found["nll_fresh"] - found["nll_fresh_floor"] == pytest.approx(found["kl_ode_nats"])
    assert found["nll_fresh_floor_error"] == found["kl_ode_nats_error"]


def test_dots_have_no_entropy_of_their_own():
    rng = np.random.default_rng(0)
    model = untrained(rng.normal(size=(40, 2)))
    found, _ = measures.measure(model, rng.normal(size=(200, 2)), "moments", FEW, 0, "cpu")
    assert not {"entropy", "nll_fresh"} & found.keys()
