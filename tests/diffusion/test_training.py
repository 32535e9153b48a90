"""Targets are exact, losses have their floors, and training is repeatable to the bit."""

import math
import warnings
from typing import ClassVar

import pytest
import torch

from pointillist.diffusion import objectives, training
from pointillist.diffusion.batches import Batch, Batches, reference_mixture
from pointillist.diffusion.config import Network, Schedule, Training
from pointillist.diffusion.denoiser import initialize
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.draws import gaussian, noise_level_draws, uniform_draws
from pointillist.diffusion.optimizers import Adam, FlatWeights, Muon, orthogonalize
from pointillist.diffusion.schedules import make_path

SMALL = Network(width=32, depth=2, input_features=8, time_features=4)


def batch_of(density, n, options, seed=0):
    generator = torch.Generator().manual_seed(seed)
    path = make_path(Schedule())
    options = Training(batch_size=n, **options)
    return path, next(Batches(density, path, options, generator, "edm"))


def test_posterior_targets_equal_brute_force(ring):
    """The mean of the anchors' own posterior means, weighted by Bayes' rule, in plain loops."""
    path, batch = batch_of(ring.to("cpu", torch.float32), 40, {"target": "posterior"})
    for x, t, target in zip(batch.x.double(), batch.t.double(), batch.target, strict=True):
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


@pytest.mark.parametrize("draws", ["lattice", "independent"])
def test_sampled_targets_are_clean_points_whose_noise_is_standard_normal(ring, draws):
    """Whatever noise_spread says: only exact targets are right for widened noise."""
    options = {"target": "sample", "draws": draws, "noise_spread": 3.0}
    path, batch = batch_of(ring.to("cpu", torch.float32), 4000, options)
    nearest = torch.cdist(batch.target.double(), ring.anchors).min(-1).values
    assert (nearest < 5 * ring.bandwidth).all()
    eps = (batch.x - batch.target) / path.sigma(batch.t)[:, None]
    torch.testing.assert_close(torch.cov(eps.T), torch.eye(2), atol=0.08, rtol=0)


@pytest.mark.parametrize("draws", ["lattice", "stratified", "independent"])
def test_each_uniform_number_is_uniform_and_uncorrelated(draws):
    draw = uniform_draws(512, draws, torch.Generator().manual_seed(0))
    u = torch.cat([draw(50).flatten(0, 1) for _ in range(4)]).double()
    assert ((u >= 0) & (u <= 1)).all()
    n = len(u)
    torch.testing.assert_close(u.mean(0), torch.full((7,), 0.5).double(), atol=0.01, rtol=0)
    correlation = torch.corrcoef(u.T) - torch.eye(7)
    assert correlation.abs().max() < 6 / n**0.5


def test_lattice_fills_the_square_more_evenly_than_chance():
    """Cells of a 16 x 16 grid, every pair of axes: the spread of their counts."""

    def unevenness(draws):
        u = uniform_draws(4096, draws, torch.Generator().manual_seed(0))(1)[0]
        total = 0.0
        for i in range(7):
            for j in range(i):
                cell = (u[:, i] * 16).long().clamp(max=15) * 16 + (u[:, j] * 16).long().clamp(
                    max=15
                )
                total += torch.bincount(cell, minlength=256).float().var().item()
        return total

    assert unevenness("lattice") < 0.6 * unevenness("independent")


def test_box_and_muller_make_normal_numbers():
    u = torch.rand(200_000, 2, generator=torch.Generator().manual_seed(0))
    z = gaussian(u).double()
    torch.testing.assert_close(torch.cov(z.T), torch.eye(2).double(), atol=0.02, rtol=0)
    assert (z**4).mean().item() == pytest.approx(3, rel=0.03)


def test_widened_noise_reaches_further_and_keeps_its_exact_target(ring):
    density = ring.to("cpu", torch.float32)
    path, batch = batch_of(density, 4000, {"noise_spread": 2.0})
    expected = density.denoise(batch.x, path.alpha(batch.t), path.sigma(batch.t))
    assert torch.equal(batch.target, expected)
    noisy = path.sigma(batch.t) > 5
    relative = batch.x[noisy] / path.sigma(batch.t[noisy])[:, None]
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
    assert seen == [500, 3000]


@pytest.mark.parametrize("target", ["posterior", "sample"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "v", "flow", "edm"])
@pytest.mark.parametrize("weighting", ["output", "likelihood"])
def test_floor_is_the_loss_of_the_exact_denoiser(ring, target, prediction, weighting):
    density = ring.to("cpu", torch.float32)
    path, batch = batch_of(density, 500, {"target": target})
    denoiser = initialize(SMALL.model_copy(update={"prediction": prediction}), path, 0)
    floor = objectives.floor(denoiser, batch, density, weighting).item()
    if target == "posterior":
        assert floor == 0
        return

    class Oracle:
        network, path = denoiser.network, denoiser.path

        @staticmethod
        def predict(x, t):
            ideal = density.denoise(x, path.alpha(t), path.sigma(t))
            c_skip, c_out, *_ = denoiser.coefficients(path.alpha(t), path.sigma(t))
            return (ideal - c_skip[:, None] * x) / c_out[:, None]

        coefficients, error_weight = denoiser.coefficients, denoiser.error_weight

    loss = objectives.loss(Oracle, batch, weighting).item()
    assert floor == pytest.approx(loss, rel=1e-3)
    assert objectives.loss(denoiser, batch, weighting).item() > floor


def test_eps_loss_with_unit_weight_is_likelihood_weighting(ring):
    """Song et al. 2021: on eps the likelihood weighting in log noise ratio is the plain loss."""
    density = ring.to("cpu", torch.float32)
    path, batch = batch_of(density, 500, {})
    denoiser = initialize(SMALL.model_copy(update={"prediction": "eps"}), path, 0)
    losses = [objectives.loss(denoiser, batch, w).item() for w in ("output", "likelihood")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("draws", ["lattice", "stratified"])
@pytest.mark.parametrize("kind", ["log_uniform", "linear", "rectified_flow"])
def test_stratified_levels_put_one_in_each_stratum(kind, draws):
    path = make_path(Schedule(kind=kind, timesteps=64))
    edges = path.quantile(torch.linspace(0, 1, 65))
    for u in uniform_draws(64, draws, torch.Generator().manual_seed(0))(3):
        t = path.quantile(u[:, 0])
        assert ((t >= edges[:-1] - 1e-6) & (t <= edges[1:] + 1e-6)).all()


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
    u = uniform_draws(64, "shared", torch.Generator())(3)
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
    denoiser(torch.randn(5, 2), torch.tensor(0.0)).sum().backward()
    assert flat.gradients.norm() > 0
    (stack, entry), start = flat.matrix_shapes, math.prod(flat.matrix_shapes[0])
    hidden = flat.gradients[:start].view(stack)
    assert torch.equal(hidden[-1], denoiser.hidden[-1].weight.grad)
    first = flat.gradients[start : start + math.prod(entry)].view(entry)
    assert torch.equal(first[0], denoiser.input.weight.grad)
    flat.values.zero_()
    assert all((p == 0).all() for p in denoiser.parameters())


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


def test_learning_rate_rises_holds_and_falls_to_zero():
    options = Training(steps=100, warmup=0.1, decay=0.5)
    factor = [training.learning_rate_factor(step, options) for step in range(100)]
    assert factor[0] == pytest.approx(0.1)
    assert factor[10:50] == [1.0] * 40
    assert factor[-1] == pytest.approx(0.02)
    flat = Training(warmup=0, decay=0, steps=7)
    assert all(training.learning_rate_factor(step, flat) == 1 for step in range(7))


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


@pytest.mark.parametrize("ema", [0.0, 0.5, 0.9])
def test_the_exponential_average_of_the_weights_is_kept(ring, ema):
    """Worked out again from the weights of every step; at first over as many as there are."""
    denoiser = initialize(SMALL, make_path(Schedule()), 0)
    options = Training(steps=30, batch_size=32, report_every=1, ema=ema)
    generator = torch.Generator().manual_seed(0)
    expected = FlatWeights.of(denoiser).values.clone()
    for report in training.train(denoiser, ring.to("cpu", torch.float32), options, generator):
        weights = report.state()["weights"]
        share = min(ema, report.step / (report.step + 9))
        expected = share * expected + (1 - share) * weights
        torch.testing.assert_close(report.average, expected)
    assert torch.equal(FlatWeights.of(denoiser).values, report.average)
    assert torch.equal(report.average, weights) == (ema == 0)


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
    batches = Batches(density, make_path(Schedule()), options, generator, "edm")
    epochs = [torch.cat([next(batches).target for _ in range(3)]) for _ in range(2)]
    assert len(torch.cat(epochs).unique(dim=0)) <= 100
    assert all(len(epoch.unique(dim=0)) == 96 for epoch in epochs)


def test_a_dataset_smaller_than_the_batch_is_one_batch(ring):
    options = Training(dataset_size=10, batch_size=32)
    generator = torch.Generator().manual_seed(0)
    density = ring.to("cpu", torch.float32)
    batches = Batches(density, make_path(Schedule()), options, generator, "edm")
    assert [len(next(batches).x) for _ in range(3)] == [10, 10, 10]


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("prediction", ["edm", "v"])
def test_gradients_on_an_accelerator_are_those_of_the_cpu(ring, prediction):
    path, batch = batch_of(ring.to("cpu", torch.float32), 500, {})
    there = Batch(*(part.cuda() for part in vars(batch).values()))
    network = SMALL.model_copy(update={"prediction": prediction, "bandwidth": ring.bandwidth})
    gradients = []
    for device, given in (("cpu", batch), ("cuda", there)):
        denoiser = initialize(network, path, 0).to(device)
        flat = FlatWeights.of(denoiser)
        objectives.loss(denoiser, given, "output").backward()
        gradients.append(flat.gradients.cpu())
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
    "no average": {"ema": 0.0, "draws": "independent"},
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
    sound, calls = objectives.squared_errors, []

    def poisoned(denoiser, batch, weighting):
        errors = sound(denoiser, batch, weighting)
        calls.append(batch)
        if len(calls) < 18:
            return errors
        # The gradient of a root is infinite at 0 where the root itself is 0.
        flaw = (0 * errors).sqrt() if what == "gradient" else torch.full_like(errors, math.nan)
        return torch.where(batch.t[:, None] < 0, errors + flaw, errors)

    monkeypatch.setattr(objectives, "squared_errors", poisoned)
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
