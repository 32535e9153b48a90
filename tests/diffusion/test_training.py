"""Targets are exact, losses have their floors, and training is repeatable to the bit."""

import math
import warnings
from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from pointillist import runtime
from pointillist.diffusion import chains, likelihood, objectives, training
from pointillist.diffusion.batches import Batch, Batches, reference_mixture
from pointillist.diffusion.config import Network, Schedule, Training
from pointillist.diffusion.denoiser import initialize
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.draws import gaussian, noise_level_draws, uniform_draws
from pointillist.diffusion.optimizers import Adam, FlatWeights, Muon, orthogonalize
from pointillist.diffusion.schedules import make_path

SMALL = Network(width=32, depth=2, input_features=8, time_features=4)
PATH = make_path(Schedule())


def batch_of(density, n, options, seed=0, prediction="edm"):
    generator = torch.Generator().manual_seed(seed)
    options = Training(batch_size=n, **options)
    denoiser = initialize(SMALL.model_copy(update={"prediction": prediction}), PATH, 0)
    return denoiser, next(Batches(denoiser, density, options, generator))


def clean_target(batch):
    """What the target of the output says x_0 is."""
    c = batch.coefficients
    return c.c_skip[:, None] * batch.x + c.c_out[:, None] * batch.target


def test_posterior_targets_equal_brute_force(ring):
    """The mean of the anchors' own posterior means, weighted by Bayes' rule, in plain loops."""
    _, batch = batch_of(ring.to("cpu", torch.float32), 40, {"target": "posterior"})
    targets = clean_target(batch)
    for x, t, target in zip(batch.x.double(), batch.t.double(), targets, strict=True):
        sigma = math.exp(t)
        variance = ring.bandwidth**2 + sigma**2
        logits = torch.stack([-(x - a).square().sum() / (2 * variance) for a in ring.anchors])
        weights = torch.softmax(logits, 0)
        gain = ring.bandwidth**2 / variance
        expected = sum(w * (a + gain * (x - a)) for w, a in zip(weights, ring.anchors, strict=True))
        torch.testing.assert_close(target.double(), expected, rtol=1e-3, atol=1e-4)


def test_posterior_target_is_the_mean_of_sampled_targets(ring):
    """Where one x_t has many x_0: average x_0 over draws near one x, compare with E[x_0 | x]."""
    generator = torch.Generator().manual_seed(0)
    x0, _ = ring.sample(2_000_000, generator)
    x = x0 + 0.5 * torch.randn(x0.shape, generator=generator).double()
    centre = torch.tensor([0.2, -0.3]).double()
    near = (x - centre).square().sum(-1).sqrt() < 0.05
    expected = ring.denoise(centre[None], 1.0, 0.5)[0]
    error = 5 * x0[near].std(0).max() / near.sum().sqrt()
    torch.testing.assert_close(x0[near].mean(0), expected, atol=error.item(), rtol=0)


def test_sampled_targets_are_clean_points_whose_noise_is_standard_normal(ring):
    """Whatever noise_spread says: only exact targets are right for widened noise."""
    options = {"target": "sample", "noise_spread": 3.0}
    _, batch = batch_of(ring.to("cpu", torch.float32), 4000, options)
    x0 = clean_target(batch)
    nearest = torch.cdist(x0.double(), ring.anchors).min(-1).values
    assert (nearest < 5 * ring.bandwidth).all()
    eps = (batch.x - x0) / PATH.sigma(batch.t)[:, None]
    seen = PATH.sigma(batch.t) > 0.01  # below, rounding is seen
    torch.testing.assert_close(torch.cov(eps[seen].T), torch.eye(2), atol=0.08, rtol=0)


def test_each_uniform_number_is_uniform_and_uncorrelated():
    generator = torch.Generator().manual_seed(0)
    u = uniform_draws(200, 512, "independent", generator).flatten(0, 1).double()
    assert ((u >= 0) & (u <= 1)).all()
    n = len(u)
    torch.testing.assert_close(u.mean(0), torch.full((7,), 0.5).double(), atol=0.01, rtol=0)
    correlation = torch.corrcoef(u.T) - torch.eye(7)
    assert correlation.abs().max() < 6 / n**0.5


def test_box_and_muller_make_normal_numbers():
    u = torch.rand(200_000, 2, generator=torch.Generator().manual_seed(0))
    z = gaussian(u).double()
    torch.testing.assert_close(torch.cov(z.T), torch.eye(2).double(), atol=0.02, rtol=0)
    assert (z**4).mean().item() == pytest.approx(3, rel=0.03)


def test_widened_noise_reaches_further_and_keeps_its_exact_target(ring):
    density = ring.to("cpu", torch.float32)
    _, batch = batch_of(density, 4000, {"noise_spread": 2.0})
    expected = density.denoise(batch.x, PATH.alpha(batch.t), PATH.sigma(batch.t))
    torch.testing.assert_close(clean_target(batch), expected, rtol=1e-4, atol=1e-5)
    noisy = PATH.sigma(batch.t) > 5
    relative = batch.x[noisy] / PATH.sigma(batch.t[noisy])[:, None]
    # The second moment of a factor uniform on [1, 2] is 7 / 3.
    assert relative.square().mean().item() == pytest.approx(7 / 3, rel=0.15)


@pytest.mark.parametrize("weighted", [False, True])
def test_reference_batch_holds_the_true_sources_and_nears_the_exact_target(weighted):
    """Xu et al. 2023: the bias of the subset shrinks as the subset grows."""
    generator = torch.Generator().manual_seed(0)
    anchors = torch.randn(5000, 2, generator=generator)
    # Weights that fall twentyfold from one side to the other: equal ones would be far off.
    weights = torch.exp(1.5 * anchors[:, 0].clamp(-1, 1)) if weighted else None
    density = GaussianMixture(anchors, 0.05, weights)
    x0, source = density.sample(256, generator)
    x = x0 + 0.3 * torch.randn(x0.shape, generator=generator)
    exact = density.denoise(x, 1.0, 0.3)
    errors = []
    for size in (300, 1000, 4000):
        reference = reference_mixture(density, source, size, generator)
        assert len(reference.anchors) == size
        assert torch.equal(reference.anchors[:256], anchors[source])
        errors.append((reference.denoise(x, 1.0, 0.3) - exact).square().mean().item())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-3


def test_a_step_above_the_bound_uses_the_reference_batch():
    density = GaussianMixture(torch.randn(3000, 2), 0.05)
    seen = []
    original = GaussianMixture.denoise

    def spy(self, *arguments):
        seen.append(len(self.anchors))
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GaussianMixture, "denoise", spy)
        batch_of(density, 64, {"reference_anchors": 500})
        batch_of(density, 64, {"reference_anchors": 3000})
    # Of each of the batches that are drawn ahead.
    assert set(seen[:16]) == {500}
    assert set(seen[16:]) == {3000}


@pytest.mark.parametrize("target", ["posterior", "sample"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "v", "flow", "edm"])
@pytest.mark.parametrize("weighting", ["output", "likelihood"])
def test_floor_is_the_loss_of_the_exact_denoiser(ring, target, prediction, weighting):
    density = ring.to("cpu", torch.float32)
    options = {"target": target, "weighting": weighting}
    denoiser, batch = batch_of(density, 500, options, prediction=prediction)
    floor = objectives.floor(denoiser, batch, density).item()
    if target == "posterior":
        assert floor == 0
        return

    class Oracle:
        @staticmethod
        def output_at(x, t, c):
            ideal = density.denoise(x, PATH.alpha(t), PATH.sigma(t))
            return (ideal - c.c_skip[:, None] * x) / c.c_out[:, None]

    loss = objectives.loss(Oracle, batch).item()
    assert floor == pytest.approx(loss, rel=1e-3)
    assert objectives.loss(denoiser, batch).item() > floor


def test_eps_loss_with_unit_weight_is_likelihood_weighting(ring):
    """Song et al. 2021: on eps the likelihood weighting in log noise ratio is the plain loss."""
    density = ring.to("cpu", torch.float32)
    losses = []
    for weighting in ("output", "likelihood"):
        options = {"weighting": weighting}
        denoiser, batch = batch_of(density, 500, options, prediction="eps")
        losses.append(objectives.loss(denoiser, batch).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


NETWORKS = {
    "defaults": {},
    "relu": {"activation": "relu"},
    "gelu, not residual": {"activation": "gelu", "residual": False},
    "tied": {"tied": True},
    "tied, relu, one hidden layer": {"tied": True, "activation": "relu", "depth": 1},
    "as tiny-diffusion": {
        "prediction": "eps",
        "preconditioned": False,
        "input_embedding": "sinusoidal",
        "time_embedding": "sinusoidal",
    },
    "plain numbers": {"input_embedding": "identity", "time_embedding": "identity"},
    "features that don't fade": {"input_embedding": "fourier", "prediction": "v"},
}


@pytest.mark.parametrize("changed", NETWORKS.values(), ids=NETWORKS)
def test_the_gradient_written_out_is_that_of_autograd(ring, changed):
    network = SMALL.model_copy(update={"depth": 3, **changed})
    denoiser = initialize(network, PATH, 0)
    generator = torch.Generator().manual_seed(0)
    options = Training(batch_size=300)
    batch = next(Batches(denoiser, ring.to("cpu", torch.float32), options, generator))
    weights = FlatWeights.of(denoiser)
    loss, gradient = objectives.loss_and_gradient(denoiser, weights, batch)
    expected = objectives.loss(denoiser, batch)
    slopes = torch.autograd.grad(expected, weights.parameters)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for slope, view in zip(slopes, weights.views(gradient).values(), strict=True):
        torch.testing.assert_close(view, slope, rtol=1e-4, atol=1e-6 * slope.abs().max().item())


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1700])
def test_the_gradient_by_parts_is_the_same_whatever_the_threads(ring, size, monkeypatch):
    monkeypatch.setattr(runtime, "_cores", lambda: 3)
    denoiser, batch = batch_of(ring.to("cpu", torch.float32), size, {})
    weights = FlatWeights.of(denoiser)
    expected = torch.autograd.grad(objectives.loss(denoiser, batch), weights.parameters)
    before, found = runtime.threads(), []
    for threads in (1, 2, 3):
        runtime.use_threads(threads)
        loss, gradient = objectives.loss_and_gradient(denoiser, weights, batch)
        found.append(torch.cat((loss[None], gradient)))
    runtime.use_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    flat = torch.cat([slope.flatten() for slope in expected])
    torch.testing.assert_close(found[0][1:], flat, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["log_uniform", "rectified_flow"])
@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.5])
def test_noise_levels_fall_off_by_the_power(kind, exponent):
    """Quadrature of the density's own definition, rho^-k per unit of log rho."""
    path, bandwidth = make_path(Schedule(kind=kind)), 0.05
    u = torch.linspace(0, 1, 20_001)
    t, weight = noise_level_draws(path, bandwidth, exponent)(u)
    ratio = (path.sigma(t) / path.alpha(t)).double()
    rho = (ratio.square() + bandwidth**2).sqrt()
    ends = path.quantile(torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(t[[0, -1]], ends, rtol=1e-3, atol=1e-5)
    grid = torch.logspace(math.log10(rho[0]), math.log10(rho[-1]), 4001).double()
    mass = torch.cumulative_trapezoid(grid**-exponent, grid.log())
    share = torch.bucketize(grid[1:], rho).double() / len(rho)
    torch.testing.assert_close(share, mass / mass[-1], atol=2e-3, rtol=0)
    # Importance weights: any mean over log rho is kept, here of 1 and of log rho itself.
    assert torch.trapezoid(weight, u).item() == pytest.approx(1, rel=0.01)
    middle = (rho[0].log() + rho[-1].log()) / 2
    mean = torch.trapezoid(weight * rho.log(), u.double())
    assert mean.item() == pytest.approx(middle.item(), abs=0.02)


def test_without_an_exponent_the_paths_own_times_are_drawn():
    path = make_path(Schedule(kind="linear", timesteps=50))
    t, weight = noise_level_draws(path, 0.01, None)((torch.arange(5000) + 0.5) / 5000)
    assert (weight == 1).all()
    assert torch.equal(torch.bincount(t.long()), torch.full((50,), 100))


def test_shared_level_is_one_for_the_whole_batch():
    u = uniform_draws(3, 64, "shared", torch.Generator())
    assert all(len(batch[:, 0].unique()) == 1 for batch in u)
    assert len(u[..., 0].unique()) == 3


@pytest.mark.parametrize(
    ("theirs", "beta2", "decay"),
    [
        (torch.optim.Adam, 0.999, 0.0),
        (torch.optim.Adam, 0.99, 0.0),
        (torch.optim.AdamW, 0.999, 0.01),
    ],
)
def test_adam_equals_torch(theirs, beta2, decay):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(50, generator=generator)
    reference = values.clone().requires_grad_()
    gradients = torch.zeros(50)
    update = Adam(values, gradients, 0.01, beta2=beta2, weight_decay=decay)
    optimizer = theirs([reference], lr=0.01, betas=(0.9, beta2), weight_decay=decay)
    for step in range(30):
        gradients.copy_(torch.randn(50, generator=generator))
        reference.grad = gradients.clone()
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / 60)
        optimizer.step()
        update(step, 1 - step / 60)
    torch.testing.assert_close(values, reference.detach())


def test_muon_equals_torch():
    """torch's own Muon iterates in bfloat16, hence the tolerance."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 32, 32, generator=generator)
    references = [v.clone().requires_grad_() for v in values]
    gradients = torch.zeros_like(values)
    update = Muon(values, gradients, 0.02)
    optimizer = torch.optim.Muon(references, lr=0.02, weight_decay=0.0, momentum=0.95, ns_steps=3)
    for _ in range(5):
        gradients.copy_(torch.randn(2, 32, 32, generator=generator))
        for reference, gradient in zip(references, gradients, strict=True):
            reference.grad = gradient.clone()
        optimizer.step()
        update(0, 1.0)
    error = (values - torch.stack(references).detach()).norm() / (5 * 0.02 * math.sqrt(2 * 32))
    assert error < 0.05


def test_muon_moves_every_element_as_far_whatever_the_shape():
    """torch's rule for that (Liu et al. 2025) is ours times 0.2 sqrt(shorter side)."""
    generator = torch.Generator().manual_seed(0)
    for shape in ((32, 80), (80, 32)):
        values, gradients = torch.randn(1, *shape, generator=generator), torch.zeros(1, *shape)
        reference = values[0].clone().requires_grad_()
        update = Muon(values, gradients, 0.02)
        optimizer = torch.optim.Muon(
            [reference],
            lr=0.02 / (0.2 * math.sqrt(32)),
            weight_decay=0.0,
            ns_steps=3,
            adjust_lr_fn="match_rms_adamw",
        )
        start = values.clone()
        for _ in range(5):
            gradients.copy_(torch.randn(1, *shape, generator=generator))
            reference.grad = gradients[0].clone()
            optimizer.step()
            update(0, 1.0)
        error = (values[0] - reference.detach()).norm() / (values - start).norm()
        assert error < 0.05


@pytest.mark.parametrize("tied", [False, True])
def test_flat_weights_are_the_modules_own(tied):
    network = SMALL.model_copy(update={"tied": tied, "depth": 3})
    denoiser = initialize(network, make_path(Schedule()), 0)
    before = {name: p.detach().clone() for name, p in denoiser.named_parameters()}
    flat = FlatWeights.of(denoiser)
    assert all(torch.equal(p, before[name]) for name, p in denoiser.named_parameters())
    views = flat.views(flat.values)
    assert {p: view.data_ptr() for p, view in views.items()} == {
        p: p.data_ptr() for p in denoiser.parameters()
    }
    (stack, entry), start = flat.matrix_shapes, math.prod(flat.matrix_shapes[0])
    assert torch.equal(flat.values[:start].view(stack)[-1], denoiser.hidden[-1].weight)
    first = flat.values[start : start + math.prod(entry)].view(entry)
    assert torch.equal(first[0], denoiser.input.weight)
    with flat.replaced(torch.zeros_like(flat.values)):
        assert all((p == 0).all() for p in denoiser.parameters())
    assert all(torch.equal(p, before[name]) for name, p in denoiser.named_parameters())


def test_orthogonalized_matrices_have_singular_values_near_one():
    matrices = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert values.max() < 1.25
    # A square random matrix has a few tiny singular values that three iterations don't lift fully.
    assert values.median() > 0.6


@pytest.mark.parametrize("shape", [(2, 8, 20), (2, 20, 8), (3, 16, 16)])
@pytest.mark.parametrize("rank", [1, 8])
def test_orthogonalization_takes_every_singular_value_by_the_same_polynomial(shape, rank):
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(*shape[:2], rank, generator=generator)
    matrices = left @ torch.randn(shape[0], rank, shape[2], generator=generator)
    u, values, v = torch.linalg.svd(matrices.double(), full_matrices=False)
    values /= values.norm(dim=-1, keepdim=True)
    for _ in range(3):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    expected = u @ values.diag_embed() @ v
    torch.testing.assert_close(orthogonalize(matrices), expected.float(), atol=1e-4, rtol=0)


def test_learning_rate_rises_and_falls_whenever_the_training_ends():
    options = Training(warmup_steps=10, decay_steps=300)
    factor = [training.learning_rate_factor(step, options) for step in range(1201)]
    assert factor[0] == pytest.approx(0.1)
    assert factor[9] == max(factor)
    assert [factor[300], factor[600], factor[1200]] == pytest.approx([1 / 2, 1 / 3, 1 / 5])
    flat = Training(warmup_steps=0, decay_steps=None)
    assert all(training.learning_rate_factor(step, flat) == 1 for step in range(7))
    more = options.model_copy(update={"steps": 10**6})
    assert [training.learning_rate_factor(step, more) for step in range(1201)] == factor


def trained(density, seed=0, **options):
    options = {"steps": 60, "batch_size": 128, "report_every": 30, **options}
    denoiser = initialize(SMALL, make_path(Schedule()), seed)
    generator = torch.Generator().manual_seed(seed)
    reports = list(training.train(denoiser, density, Training(**options), generator))
    return denoiser, reports


@pytest.mark.parametrize("optimizer", ["muon", "adam", "adamw"])
def test_same_seed_same_weights_to_the_bit(ring, optimizer):
    density = ring.to("cpu", torch.float32)
    one, two = (trained(density, optimizer=optimizer)[0] for _ in range(2))
    assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))


def test_training_lowers_the_loss_and_reports_what_it_says(ring):
    _, reports = trained(ring.to("cpu", torch.float32), steps=300)
    assert [r.step for r in reports] == list(range(30, 301, 30))
    assert reports[-1].metrics["loss"] < 0.6 * reports[0].metrics["loss"]
    assert set(reports[0].metrics) == {
        "loss",
        "loss_floor",
        "learning_rate",
        "gradient_norm",
        "steps_per_second",
    }


def test_reports_do_not_change_the_result(ring):
    density = ring.to("cpu", torch.float32)
    often, rarely = trained(density, report_every=1)[0], trained(density, report_every=60)[0]
    assert all(map(torch.equal, often.state_dict().values(), rarely.state_dict().values()))


@pytest.mark.parametrize("averaging", [None, 0.0, 1.0, 6.0])
def test_the_average_of_the_weights_counts_step_s_as_a_power_of_s(ring, averaging):
    """Worked out again from the weights of every step: their weighted mean so far."""
    denoiser = initialize(SMALL, PATH, 0)
    options = Training(steps=30, batch_size=32, report_every=1, averaging=averaging)
    generator = torch.Generator().manual_seed(0)
    seen = []
    for report in training.train(denoiser, ring.to("cpu", torch.float32), options, generator):
        seen.append(report.state()["weights"].double())
        gamma = averaging or 0.0
        # The integral of s^gamma over each step.
        steps = torch.arange(len(seen) + 1).double()
        shares = (steps ** (gamma + 1)).diff() / steps[-1] ** (gamma + 1)
        mean = seen[-1] if averaging is None else shares @ torch.stack(seen)
        torch.testing.assert_close(report.average.double(), mean, rtol=1e-4, atol=1e-6)
    assert torch.equal(FlatWeights.of(denoiser).values, report.average)


@pytest.mark.parametrize("limit", [None, 1e-3, 0.5, 1e3])
def test_clipping_scales_the_gradient_down_to_its_limit_as_torch_does(ring, monkeypatch, limit):
    """What the optimizer sees at each step, against torch's own on the same gradient."""
    seen = []

    class Still:
        memory: ClassVar = {}

        def __init__(self, gradients):
            self.gradients = gradients

        def __call__(self, step, factor):
            seen.append(self.gradients.clone())

    # Weights that stay where they are have the same gradients, clipped or not.
    monkeypatch.setattr(training, "make_updates", lambda weights, _: [Still(weights.gradients)])
    density = ring.to("cpu", torch.float32)
    trained(density, steps=3)
    free, seen = seen, []
    _, reports = trained(density, steps=3, report_every=1, gradient_clip=limit)
    for gradient, clipped, report in zip(free, seen, reports, strict=True):
        parameter = torch.nn.Parameter(torch.zeros_like(gradient))
        parameter.grad = gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_([parameter], math.inf if limit is None else limit)
        torch.testing.assert_close(clipped, parameter.grad)
        assert report.metrics["gradient_norm"] == pytest.approx(norm.item())
    assert 1e-3 < free[0].norm() < 1e3


def test_fixed_dataset_is_walked_through_in_epochs(ring):
    density = ring.to("cpu", torch.float32)
    options = Training(dataset_size=100, batch_size=32, target="sample")
    generator = torch.Generator().manual_seed(0)
    batches = Batches(initialize(SMALL, PATH, 0), density, options, generator)
    x0 = [[clean_target(next(batches)) for _ in range(3)] for _ in range(2)]
    # Out of the target of the output, x_0 comes with its rounding error.
    epochs = [(torch.cat(batch) * 1e4).round() for batch in x0]
    assert len(torch.cat(epochs).unique(dim=0)) <= 110
    assert all(len(epoch.unique(dim=0)) == 96 for epoch in epochs)


def test_a_dataset_smaller_than_the_batch_is_one_batch(ring):
    options = Training(dataset_size=10, batch_size=32)
    generator = torch.Generator().manual_seed(0)
    density = ring.to("cpu", torch.float32)
    batches = Batches(initialize(SMALL, PATH, 0), density, options, generator)
    assert [len(next(batches).x) for _ in range(3)] == [10, 10, 10]


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("prediction", ["edm", "v"])
def test_gradients_on_an_accelerator_are_those_of_the_cpu(ring, prediction):
    _, batch = batch_of(ring.to("cpu", torch.float32), 500, {}, prediction=prediction)
    there = Batch.of(field.cuda() for field in batch.fields())
    gradients = []
    for device, given in (("cpu", batch), ("cuda", there)):
        network = SMALL.model_copy(update={"prediction": prediction})
        denoiser = initialize(network, PATH, 0).to(device)
        flat = FlatWeights.of(denoiser)
        gradients.append(objectives.loss_and_gradient(denoiser, flat, given)[1].cpu())
    error = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    assert error < 1e-3


@pytest.mark.gpu
@needs_cuda
def test_between_reports_the_loop_never_waits_for_an_accelerator(ring):
    """However many steps lie between, the waits are those of the one report."""
    density = ring.to("cuda", torch.float32)

    def waits(steps):
        denoiser = initialize(SMALL, make_path(Schedule()), 0).cuda()
        generator = torch.Generator("cuda").manual_seed(0)
        options = Training(steps=steps, batch_size=128, report_every=steps)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                list(training.train(denoiser, density, options, generator))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return len(caught)

    waits(2)
    assert waits(40) == waits(10)


@pytest.mark.parametrize(
    ("steps", "every", "n"),
    [(1100, 20, 12), (30, 10, 12), (5, 20, 12), (125_000, 20, 12), (7, 1, 3)],
)
def test_snapshots_are_reports_even_in_log_step(steps, every, n):
    options = Training(steps=steps, report_every=every)
    found = training.snapshot_steps(options, n)
    reports = {*range(every, steps, every), steps}
    assert set(found) <= reports
    assert found == sorted(set(found))
    assert found[-1] == steps
    assert len(found) == min(n, len(reports))


def test_the_last_report_has_the_weights_that_are_kept(ring):
    density, path = ring.to("cpu", torch.float32), make_path(Schedule())
    denoiser = initialize(SMALL, path, 0)
    options = Training(steps=6, report_every=2, batch_size=32)
    generator = torch.Generator().manual_seed(0)
    averages = [r.average.clone() for r in training.train(denoiser, density, options, generator)]
    assert len(averages) == 3
    assert torch.equal(FlatWeights.of(denoiser).values, averages[-1])
    assert not torch.equal(averages[0], averages[1])


CONTINUED = {
    "muon": {},
    "adam": {"optimizer": "adam"},
    "sampled targets": {"target": "sample", "optimizer": "adamw"},
    "reference batches": {"reference_anchors": 4},
    "epochs": {"dataset_size": 50, "batch_size": 16},
    "one small epoch": {"dataset_size": 5, "batch_size": 16},
    "shared noise, even": {"draws": "shared", "noise_exponent": 0.0},
    "no average": {"averaging": None},
}


@pytest.mark.parametrize("options", CONTINUED.values(), ids=CONTINUED)
def test_training_that_goes_on_from_a_state_ends_the_same_to_the_bit(ring, options):
    """Whatever the step: within a block of batches, at its ends, in the first and last step."""
    density, path = ring.to("cpu", torch.float32), make_path(Schedule())
    options = Training(**{"steps": 40, "batch_size": 32, "report_every": 1, **options})

    def all_of_it(state=None, seed=0):
        denoiser = initialize(SMALL, path, seed)
        generator = torch.Generator().manual_seed(0)
        reports = training.train(denoiser, density, options, generator, state)
        states = {report.step: report.state() for report in reports}
        return FlatWeights.of(denoiser).values.clone(), states

    whole, states = all_of_it()
    for step in (1, 15, 16, 17, 31, 39):
        # Another seed: what the network was before counts for nothing.
        continued, after = all_of_it(states[step], seed=7)
        assert torch.equal(continued, whole)
        assert sorted(after) == list(range(step + 1, 41))
        assert after[40].keys() == states[40].keys()
        assert all(torch.equal(after[40][name], value) for name, value in states[40].items())


def test_a_training_ends_when_its_bound_is_proven_on_draws_that_it_never_saw(ring):
    density = ring.to("cpu", torch.float32)
    goal = {"steps": 3000, "report_every": 10, "until": 1.0, "warmup_steps": 4}
    denoiser, reports = trained(density, **goal)
    bounds = {r.step: r.metrics["kl_bound_nats"] for r in reports if "kl_bound_nats" in r.metrics}
    *before, end = bounds
    assert end == reports[-1].step < 3000
    assert bounds[end] <= 1.0
    assert [r.last for r in reports] == [False] * (len(reports) - 1) + [True]
    assert before
    assert min(before) == 100
    # Taken anew, with other draws.
    start = chains.start_distribution(ring, PATH, "moments")
    bound = likelihood.kl_bound(
        denoiser,
        ring,
        PATH,
        start,
        nodes=128,
        draws=2048,
        generator=torch.Generator().manual_seed(9),
    )
    assert bound.nats <= 1.0 + 3 * bound.standard_error
    # The same training without a goal goes through the same weights.
    _, longer = trained(density, **goal | {"until": None, "steps": end})
    assert torch.equal(longer[-1].average, reports[-1].average)
    assert not any("kl_bound_nats" in r.metrics for r in longer)
    # Interrupted before its end, it ends there all the same.
    again = initialize(SMALL, PATH, 7)
    options = Training(batch_size=128, **goal)
    state = next(r for r in trained_reports(density, options) if r.step == end - 20).state()
    generator = torch.Generator().manual_seed(0)
    *_, last = training.train(again, density, options, generator, state)
    assert last.step == end
    assert torch.equal(last.average, reports[-1].average)


def trained_reports(density, options):
    generator = torch.Generator().manual_seed(0)
    return training.train(initialize(SMALL, PATH, 0), density, options, generator)


def test_a_goal_that_the_start_of_the_chain_already_misses_is_said_and_given_up(ring, caplog):
    options = Training(batch_size=32, steps=20, report_every=20, until=1e-7)
    *_, last = trained_reports(ring.to("cpu", torch.float32), options)
    assert last.step == 20
    assert "training.until=1e-07 can't be proven" in caplog.text
    assert "training.until=null" in caplog.text


def test_more_steps_go_on_from_the_state_of_fewer(ring):
    density, path = ring.to("cpu", torch.float32), make_path(Schedule())
    denoiser = initialize(SMALL, path, 0)
    few = Training(steps=20, batch_size=32, report_every=20)
    (report,) = training.train(denoiser, density, few, torch.Generator().manual_seed(0))
    more = few.model_copy(update={"steps": 60})
    generator = torch.Generator().manual_seed(0)
    after = training.train(denoiser, density, more, generator, report.state())
    assert [report.step for report in after] == [40, 60]


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_an_infinite_loss_or_gradient_stops_training_at_its_step_and_keeps_the_state_before(
    ring, monkeypatch, what
):
    density, path = ring.to("cpu", torch.float32), make_path(Schedule())
    options = Training(steps=40, batch_size=32, report_every=4)
    generator = torch.Generator().manual_seed(0)
    reports = training.train(initialize(SMALL, path, 0), density, options, generator)
    sound, calls = Batches.__next__, []

    def poisoned(batches):
        batch = sound(batches)
        calls.append(batch)
        if len(calls) < 18:
            return batch
        # The squares of so great a gradient are infinite, and the loss is not.
        worse = {"loss": {"target": math.nan}, "gradient": {"weight": 1e30}}[what]
        ((name, value),) = worse.items()
        spoilt = torch.where(batch.t[:, None] < 0, value, getattr(batch, name))
        return replace(batch, parts=(), **{name: spoilt})

    monkeypatch.setattr(Batches, "__next__", poisoned)
    assert [next(reports).step for _ in range(4)] == [4, 8, 12, 16]
    with pytest.raises(training.DivergedError, match=f"at step 18 the {what} became") as caught:
        next(reports)
    assert "sigma/alpha" in str(caught.value)
    # One step after the last report, and the same step again: nothing was lost or taken twice.
    monkeypatch.undo()
    seventeen = Training(steps=40, batch_size=32, report_every=17)
    generator = torch.Generator().manual_seed(0)
    expected = next(training.train(initialize(SMALL, path, 0), density, seventeen, generator))
    assert int(caught.value.state["step"]) == 17
    assert all(torch.equal(caught.value.state[k], v) for k, v in expected.state().items())
