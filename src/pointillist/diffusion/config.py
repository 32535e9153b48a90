"""Parameters of the truth, the noise schedule, the network, its training, sampling and evaluation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pointillist.groups import Group, Pair, PositivePair, Registered, alone, each_once

SamplerName = Annotated[
    str, Registered("pointillist.diffusion.samplers:SAMPLERS", known="dpmpp_2m_sde")
]


class Data(Group):
    """The known truth: a Gaussian at every point of the shape."""

    bandwidth: Annotated[float, Field(ge=1e-4, le=1)] | Literal["auto"] = Field(
        0.01,
        description="Standard deviation of the Gaussian at each anchor, in model coordinates; auto: the "
        "one that maximises the leave-one-out likelihood, for measured points of which one wants the "
        "density. Below 1e-4, single precision can't resolve it; above 1, the shape is blurred away.",
    )
    held_out: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="Share of the points, chosen by the seed, that is kept from training and truth, and "
        "on which `nll_held_out` is taken.",
    )
    center: Pair | None = Field(
        None,
        description="What is subtracted from the points (original units); null: their mean.",
    )
    scale: PositivePair | None = Field(
        None,
        description="What they are then divided by; null: their standard deviation per axis.",
    )

    @property
    def dot(self) -> float:
        """The deviation of an anchor's Gaussian; where it is `auto`, the shape has its own."""
        return 0.01 if self.bandwidth == "auto" else self.bandwidth


class Schedule(Group):
    """The Gaussian path x_t = alpha_t x_0 + sigma_t eps."""

    kind: Literal["log_uniform", "linear", "quadratic", "cosine", "sigmoid", "rectified_flow"] = (
        Field(
            "log_uniform",
            description="log_uniform: alpha = 1, log sigma uniform (Karras et al. 2022); linear: "
            "beta linear (Ho et al. 2020); quadratic: sqrt(beta) linear; cosine: Nichol & Dhariwal "
            "2021, eq. 17; sigmoid: beta a sigmoid (Xu et al. 2022, GeoDiff); rectified_flow: "
            "alpha = 1 - t, sigma = t (Liu et al. 2022; Lipman et al. 2023).",
        )
    )
    timesteps: int = Field(
        1000,
        ge=2,
        le=100_000,
        description="T, the number of steps of the discrete schedules (linear, quadratic, cosine, "
        "sigmoid).",
    )
    beta_start: float = Field(
        1e-4,
        gt=0,
        lt=1,
        description="First beta of linear, quadratic and sigmoid (Ho et al. 2020).",
    )
    beta_end: float = Field(
        0.02, gt=0, lt=1, description="Last beta of linear, quadratic and sigmoid (Ho et al. 2020)."
    )
    sigma_min: float = Field(
        0.002,
        ge=1e-5,
        le=0.1,
        description="Least noise-to-signal ratio sigma/alpha of log_uniform and rectified_flow. Above "
        "0.1, the shape's details are never learnt; single precision ends below 1e-5.",
    )
    sigma_max: float = Field(
        20.0,
        ge=1,
        le=1e4,
        description="Greatest noise-to-signal ratio sigma/alpha of log_uniform and rectified_flow. "
        "Below 1, the chain would start within the shape; above 1e4, single precision loses the shape.",
    )

    @model_validator(mode="after")
    def _betas_rise(self) -> Schedule:
        if self.beta_start > self.beta_end:
            raise ValueError("beta_start must not be above beta_end")
        return self


class Network(Group):
    """The denoiser's network and what its output means."""

    prediction: Literal["edm", "eps", "x0", "v", "flow"] = Field(
        "edm",
        description="What the output is: the preconditioned residual of Karras et al. 2022 (eq. "
        "7), the noise (Ho et al. 2020), the clean point, the velocity of Salimans & Ho 2022, or "
        "the flow eps - x0 (Lipman et al. 2023).",
    )
    preconditioned: bool = Field(
        True,
        description="Whether the network's output is edm's residual whatever the prediction, which then "
        "decides in which units errors count; false: it is the predicted quantity itself, as in the two "
        "originals, and points farther out than the network saw go astray.",
    )
    sigma_data: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Standard deviation of the data that edm assumes; 1 for standardised points.",
    )
    bandwidth: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Standard deviation of the data around its anchors, in model coordinates, that "
        "preconditioning takes as known, so that the network only learns what is coarser; null: "
        "data.bandwidth, 0: edm as in its paper.",
    )
    width: int = Field(128, ge=4, le=4096, description="Units of each hidden layer.")
    depth: int = Field(3, ge=1, le=32, description="Hidden layers after the first.")
    activation: Literal["silu", "gelu", "relu"] = Field(
        "silu", description="Non-linearity of the hidden layers."
    )
    residual: bool = Field(True, description="Whether each hidden layer adds to its input.")
    tied: bool = Field(
        False,
        description="Whether all hidden layers share one weight matrix, as they do (unintended) in "
        "tiny-tiny-diffusion.",
    )
    input_embedding: Literal["integrated", "fourier", "sinusoidal", "identity"] = Field(
        "integrated",
        description="How a point enters: Fourier features in many directions that fade as the "
        "noise grows past their detail (Barron et al. 2021) or never do (Tancik et al. 2020), the "
        "per-axis sinusoids of tiny-diffusion, or its two plain coordinates.",
    )
    input_features: int = Field(
        256,
        ge=2,
        le=2048,
        description="Frequencies of the integrated, fourier or sinusoidal input embedding.",
    )
    input_bandwidth: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Greatest frequency of the Fourier features, in multiples of pi radians per unit "
        "of the model coordinates; null: 3/2 of one over the points' median distance to their nearest "
        "neighbour, between 10 and 40.",
    )
    time_embedding: Literal["fourier", "sinusoidal", "identity"] = Field(
        "fourier",
        description="How the noise level enters: Fourier features of log(sigma/alpha), the "
        "sinusoids of the integer timestep (Ho et al. 2020), or that integer itself.",
    )
    time_features: int = Field(
        16, ge=2, le=2048, description="Frequencies of the fourier or sinusoidal time embedding."
    )


class Training(Group):
    """What the network regresses on, and how."""

    target: Literal["posterior", "sample"] = Field(
        "posterior",
        description="Regress on the exact E[x0 | x_t] (stable target field, Xu et al. 2023) or on "
        "the one x0 that made x_t (denoising score matching, Vincent 2011).",
    )
    reference_anchors: int = Field(
        4096,
        ge=2,
        description="Above this number of anchors the posterior target uses a fresh random subset "
        "of this size that contains the true source (Xu et al. 2023), so that a step's cost is "
        "bounded.",
    )
    weighting: Literal["output", "likelihood"] = Field(
        "output",
        description="Weight of the squared error: 1 on the network's output, or the likelihood "
        "weighting alpha^2/sigma^2 on x0 (Song et al. 2021).",
    )
    draws: Literal["independent", "shared"] = Field(
        "independent",
        description="How a batch is drawn. independent: every point has its own noise level; shared: "
        "one noise level for the whole batch, as in tiny-tiny-diffusion.",
    )
    noise_exponent: float | None = Field(
        None,
        ge=0,
        le=1.5,
        description="Noise levels are drawn with a density that falls by this power of the noise "
        "ratio tau/alpha, per unit of its logarithm, and weighted by its inverse: 0 is even, more "
        "knows the loss better where noise is low; null: 0.7 if the prediction is edm, else even in "
        "the path's own time, unweighted, as in the prediction's paper.",
    )
    noise_spread: float = Field(
        1.25,
        ge=1,
        le=10,
        description="With exact targets each point's noise is widened by a factor from [1, "
        "noise_spread], so that stray points are trained too; 1: the path's own noise.",
    )
    dataset_size: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Points drawn once and used in shuffled epochs, as in the two "
        "originals; null: every batch is a fresh draw.",
    )
    steps: int = Field(2400, ge=1, le=10_000_000, description="Optimiser steps, at most.")
    until: float | None = Field(
        0.01,
        gt=0,
        description="The training ends when kl_bound_nats, on draws that it never saw, is at most so "
        "many nats, with two standard errors; null: after all steps.",
    )
    batch_size: int = Field(1024, ge=1, le=1_000_000, description="Points per step.")
    optimizer: Literal["muon", "adam", "adamw"] = Field(
        "muon",
        description="muon: orthogonalised momentum for the matrices (Jordan et al. 2024) and Adam "
        "for the rest; adam: Kingma & Ba 2015; adamw: with weight decay 0.01.",
    )
    learning_rate: float = Field(
        7.5e-3, gt=0, le=10, description="Peak learning rate of Adam (and of the rest under muon)."
    )
    muon_learning_rate: float = Field(
        0.0375, gt=0, le=10, description="Peak learning rate of the matrices under muon."
    )
    warmup_steps: int = Field(
        24, ge=0, description="Steps in which the learning rate rises to its peak."
    )
    decay_steps: int | None = Field(
        200,
        ge=1,
        description="The learning rate falls as 1 / (1 + step / decay_steps): to half of its peak after "
        "so many steps, whenever the training ends; null: it stays.",
    )
    averaging: float | None = Field(
        6.0,
        ge=0,
        le=1000,
        description="The weights that are kept are an average over all steps so far, in which step s "
        "counts as s^averaging (Karras et al. 2024, arXiv 2312.02696, eq. 1); null: the last weights.",
    )
    gradient_clip: float | None = Field(
        None, gt=0, description="Greatest norm of the gradient; null: no clipping."
    )
    report_every: int = Field(
        20, ge=1, le=1_000_000, description="Steps between two reports of loss and rate."
    )
    checkpoint_seconds: float = Field(
        5.0,
        ge=0,
        le=86_400,
        description="Seconds between two states that are kept for resume=true, taken at the first report "
        "after them; the newest two are kept until the model is saved.",
    )


class Sampling(Group):
    """The reverse chain."""

    sampler: SamplerName = Field(
        "dpmpp_2m_sde",
        description="Of the flow: heun, euler: Karras et al. 2022, algorithm 1; ddim: Song et al. "
        "2021, eq. 12; dpmpp_2m: Lu et al. 2022, algorithm 2. Of the reverse SDE: ddpm: ancestral, Ho "
        "et al. 2020, algorithm 2; dpmpp_2m_sde: Lu et al. 2022, section 5; sde: Euler-Maruyama, Song "
        "et al. 2021.",
    )
    steps: int = Field(
        80,
        ge=1,
        le=100_000,
        description="Steps from the noisiest time to clean points (at most T if discrete).",
    )
    eta: float = Field(
        0.0, ge=0, le=1, description="Noise of ddim: 0 is deterministic, 1 is ancestral."
    )
    rho: Annotated[float, Field(gt=0, le=100)] | Literal["auto"] | None = Field(
        "auto",
        description="Spacing of the noise levels, Karras et al. 2022, eq. 5; null: even in time; auto: "
        "7, but for ddpm, ddim and euler on a discrete path its own times, evenly.",
    )
    sigma_max: float | None = Field(
        None,
        ge=0.2,
        le=1e4,
        description="Noise ratio sigma/alpha that the chain starts from; null: the path's greatest. "
        "Few steps do more from 3 than from 20: with start=moments the first is as good a start.",
    )
    sigma_min: float | None = Field(
        None,
        ge=1e-5,
        le=0.1,
        description="Least noise ratio before clean points; null: the path's least.",
    )
    start: Literal["moments", "standard_normal"] = Field(
        "moments",
        description="Where the chain starts: a Gaussian with the path's own mean and covariance at "
        "its first level, or N(0, I) as in the two originals.",
    )
    n_samples: int = Field(8000, ge=2, le=100_000_000, description="Points to draw.")
    n_frames: int = Field(
        100,
        ge=2,
        le=1000,
        description="Most states of the chain that are kept, both ends included.",
    )
    chunk_size: int = Field(8192, ge=1, description="Points that pass through the network at once.")


class Evaluation(Group):
    """How samples are held against the truth."""

    n_eval: int = Field(
        8000, ge=100, le=1_000_000, description="Samples compared, and size of each truth draw."
    )
    floor_draws: int = Field(
        5, ge=5, le=100, description="Independent truth draws that each floor is the mean over."
    )
    projections: int = Field(
        200, ge=1, le=10_000, description="Directions of the sliced Wasserstein distance."
    )
    exact_w2: bool = Field(
        False,
        description="Whether w2, the exact Wasserstein distance, is taken too (POT, the extra ot; n_eval "
        "at most 10,000). It takes a minute or more.",
    )
    noise_levels: int = Field(
        64,
        ge=8,
        le=10_000,
        description="Quadrature nodes of kl_bound_nats along log(sigma/alpha).",
    )
    bound_error: float = Field(
        0.04,
        gt=0,
        le=1,
        description="Standard error of kl_bound_nats that ends its draws, as a share of it.",
    )
    risk_draws: int = Field(
        4096,
        ge=16,
        le=1_000_000,
        description="Draws per node of kl_bound_nats, at most.",
    )
    ode_error: float = Field(
        0.005,
        gt=0,
        le=10,
        description="Standard error of kl_ode_nats that ends its draws, nats.",
    )
    ode_draws: int = Field(
        2048,
        ge=16,
        le=1_000_000,
        description="Draws whose likelihood kl_ode_nats is the mean over, at most.",
    )
    ode_steps: int = Field(
        64,
        ge=8,
        le=10_000,
        description="Steps of kl_ode_nats, closest where the shape appears; at most T - 1 if discrete.",
    )


class Samplers(Group):
    """The table of samplers: quality against number of function evaluations."""

    nfe: Annotated[
        tuple[Annotated[int, Field(ge=1, le=100_000)], ...],
        BeforeValidator(alone),
        AfterValidator(each_once),
    ] = Field(
        (5, 10, 20, 50, 100),
        min_length=1,
        description="Numbers of function evaluations, each from 1 to 100,000 and given once; on a "
        "command line joined by +: samplers.nfe=5+10. A sampler takes the most steps that fit; heun "
        "needs two evaluations for each step but the last.",
    )
    n_samples: int = Field(
        8000, ge=100, le=1_000_000, description="Points of each cell, from the same noise."
    )
    floor_draws: int = Field(
        20, ge=5, le=100, description="Independent truth draws that each floor is the mean over."
    )
    rho: float | None = Field(
        20.0,
        gt=0,
        le=100,
        description="Spacing of the noise levels, as sampling.rho; 20 is nearly even in log sigma, which "
        "serves few steps best.",
    )
    sigma_max: float | None = Field(
        3.0, ge=0.2, le=1e4, description="As sampling.sigma_max; null: the path's greatest."
    )
    sigma_min: float | None = Field(
        0.004, ge=1e-5, le=0.1, description="As sampling.sigma_min; null: the path's least."
    )
