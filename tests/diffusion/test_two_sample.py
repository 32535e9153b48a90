"""Two-sample tests against second implementations and closed forms, on the truth and on its faults."""

import math
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance
from sklearn.metrics.pairwise import rbf_kernel

from pointillist.diffusion import metrics, two_sample
from pointillist.diffusion.density import GaussianMixture
from pointillist.errors import PointillistError


def normal(n, generator, shift=0.0):
    return torch.randn(n, 2, generator=generator, dtype=torch.float64) + shift


def energy_and_mmd(x, y):
    sums = two_sample.self_sums(x), two_sample.self_sums(y), two_sample.pair_sums(x, y)
    return two_sample.energy_distance(*sums), two_sample.squared_mmd(*sums)


def kernel_by_sklearn(x, y):
    return sum(rbf_kernel(x, y, 0.5 / s**2) for s in two_sample.BANDWIDTHS)


def test_energy_distance_on_a_line_is_scipys(generator):
    x, y = normal(700, generator), normal(700, generator, 0.3)
    x[:, 1] = y[:, 1] = 0
    ours, _ = energy_and_mmd(x, y)
    assert ours == pytest.approx(energy_distance(x[:, 0].numpy(), y[:, 0].numpy()), rel=1e-5)


def test_energy_distance_in_the_plane_is_the_mean_over_directions(generator):
    """|v| is pi / 2 times the mean of |v·u| over the circle, so the squares are too."""
    x, y = normal(300, generator), normal(300, generator, 0.5)
    ours, _ = energy_and_mmd(x, y)
    directions = metrics.unit_directions(200, generator).numpy()
    on_lines = [energy_distance(x.numpy() @ u, y.numpy() @ u) ** 2 for u in directions]
    assert ours**2 == pytest.approx(math.pi / 2 * np.mean(on_lines), rel=1e-3)


def test_mmd_is_the_unbiased_estimate_with_sklearns_kernels(generator):
    x, y = normal(311, generator), normal(311, generator, 0.1)
    xx, yy = kernel_by_sklearn(x, x), kernel_by_sklearn(y, y)
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (311 * 310)
    _, ours = energy_and_mmd(x, y)
    assert ours == pytest.approx(within - 2 * kernel_by_sklearn(x, y).mean(), abs=1e-7)


def test_mmd_of_two_gaussians_has_its_closed_form(generator):
    """For N(0, I) and N(m, I): MMD^2 = sum_s 2 s^2 / (s^2 + 2) (1 - exp(-|m|^2 / 2 (s^2 + 2)))."""
    estimates = [
        energy_and_mmd(normal(1000, generator), normal(1000, generator, 1.0))[1] for _ in range(8)
    ]
    expected = sum(
        2 * s**2 / (s**2 + 2) * (1 - math.exp(-1 / (s**2 + 2))) for s in two_sample.BANDWIDTHS
    )
    error = np.std(estimates) / math.sqrt(len(estimates) - 1)
    assert np.mean(estimates) == pytest.approx(expected, abs=5 * error)
    assert error < 0.05 * expected


def test_sums_over_pairs_do_not_depend_on_the_blocks(generator, monkeypatch):
    x = normal(130, generator)
    whole = two_sample.self_sums(x)
    monkeypatch.setattr(two_sample, "_BLOCK_ROWS", 17)
    assert two_sample.self_sums(x) == pytest.approx(whole)
    assert two_sample.pair_sums(x, x) == pytest.approx(whole)


def test_pairs_stay_bounded(generator, monkeypatch):
    monkeypatch.setattr(two_sample, "_MOST_PAIRED", 40)
    x, y = normal(90, generator), normal(90, generator)
    assert energy_and_mmd(x, y) == energy_and_mmd(x[:40], y[:40])


def test_truth_cannot_be_told_from_the_truth(ring, generator):
    """Under the null MMD is 0 and accuracy 1/2 in the mean."""
    pairs = [[ring.sample(1000, generator)[0] for _ in range(2)] for _ in range(8)]
    mmd = [energy_and_mmd(x, y)[1] for x, y in pairs]
    assert np.mean(mmd) == pytest.approx(0, abs=4 * np.std(mmd) / math.sqrt(7))
    accuracy = [
        two_sample.classifier_accuracy(*(metrics.classifier_features(z, ring) for z in (x, y)))
        for x, y in pairs[:4]
    ]
    assert np.mean(accuracy) == pytest.approx(0.5, abs=5 / math.sqrt(8 * 1000 * 4))


def test_faults_are_seen(ring, generator):
    """Detail shows in MMD and to the classifier; what is moved shows in the energy distance too."""
    y, fresh = (ring.sample(2000, generator)[0] for _ in range(2))
    floor, null = energy_and_mmd(fresh, y)
    too_wide = GaussianMixture(ring.anchors, 1.5 * ring.bandwidth)
    anchors_missing = GaussianMixture(ring.anchors[3:], ring.bandwidth)
    moved = GaussianMixture(ring.anchors + 0.05, ring.bandwidth)
    for fault in (too_wide, anchors_missing, moved):
        x, _ = fault.sample(2000, generator)
        features = [metrics.classifier_features(z, ring) for z in (x, y)]
        assert two_sample.classifier_accuracy(*features) > 0.5 + 4 / math.sqrt(8 * 2000)
        assert energy_and_mmd(x, y)[1] > 5 * abs(null)
    for fault in (anchors_missing, moved):
        x, _ = fault.sample(2000, generator)
        assert energy_and_mmd(x, y)[0] > 1.5 * floor


def test_classifier_accuracy_is_repeatable(ring, generator):
    x, y = (ring.sample(500, generator)[0] for _ in range(2))
    assert two_sample.classifier_accuracy(x, y) == two_sample.classifier_accuracy(x, y)


def test_exact_wasserstein_is_the_best_assignment(generator):
    pytest.importorskip("ot")
    x, y = normal(150, generator), normal(150, generator, 0.4)
    cost = cdist(x, y, "sqeuclidean")
    best = cost[linear_sum_assignment(cost)].mean()
    assert two_sample.exact_wasserstein(x, y) == pytest.approx(math.sqrt(best))


def test_exact_wasserstein_of_a_shift_is_the_shift(generator):
    pytest.importorskip("ot")
    x = normal(100, generator)
    shift = torch.tensor([0.3, -0.4]).double()
    assert two_sample.exact_wasserstein(x, x + shift) == pytest.approx(0.5)


def test_missing_package_is_said_with_its_cure(monkeypatch, generator):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(PointillistError, match=r"make \.venv/\.installed-ot"):
        two_sample.exact_wasserstein(normal(5, generator), normal(5, generator))


def test_too_many_points_to_transport_are_refused():
    x = torch.zeros(two_sample.MOST_TRANSPORTED + 1, 2)
    with pytest.raises(PointillistError, match=r"evaluation\.n_eval=10000"):
        two_sample.exact_wasserstein(x, x)
