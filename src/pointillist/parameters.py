"""Every knob: its name, bounds, unit, default and source, in one model.

`conf/base/parameters*.yml` spells the defaults out for people; a test keeps the two equal.
`python -m pointillist.parameters` prints the reference page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from pointillist.errors import PointillistError, nearest

SamplerName = Literal["heun", "euler", "ddim", "ddpm", "dpmpp_2m", "dpmpp_2m_sde", "sde"]
Pair = tuple[float, float]
PositivePair = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]


class Group(BaseModel):
    """A group of parameters: unknown names and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Data(Group):
    """The known truth: a Gaussian at every point of the shape."""

    bandwidth: float = Field(
        0.01,
        ge=1e-4,
        le=1,
        description="Standard deviation of the Gaussian at each anchor, in model coordinates. Below "
        "1e-4, single precision no longer tells its points apart; above 1, no shape is left.",
    )
    center: Pair | None = Field(
        None,
        description="What is subtracted from the points (original units); null: their mean.",
    )
    scale: PositivePair | None = Field(
        None,
        description="What they are then divided by; null: their standard deviation per axis.",
    )


class Source(Group):
    """How a formula, a drawing, a picture or a word becomes points; a table keeps its own."""

    n_points: int | None = Field(
        None,
        ge=3,
        le=1_000_000,
        description="Points to place; null: 1,000 along lines, 2,000 for a formula, 4,000 in a picture "
        "or in filled outlines.",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="Seed of what is placed by chance; apart from `seed`, so that runs with other seeds "
        "still learn the same shape.",
    )
    noise: float | None = Field(
        None,
        ge=0,
        le=10,
        description="Formulas: deviation of the Gaussian noise on each point, in the formula's own "
        "units; null: the formula's own.",
    )
    count: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Formulas: how many modes, arms, circles, corners, lobes, cells a side or "
        "generations there are; null: the formula's own.",
    )
    turns: float | None = Field(
        None, gt=0, le=20, description="Spirals: how often they wind; null: the formula's own."
    )
    filled: bool = Field(
        False,
        description="Words and SVG drawings: points inside the outlines rather than along them.",
    )
    font: str = Field(
        "DejaVu Sans",
        min_length=1,
        description="Words: a font family that matplotlib finds; DejaVu Sans comes with it.",
    )
    invert: bool = Field(
        False, description="Pictures: points where it is light, rather than where it is dark."
    )
    threshold: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Pictures: ink, from 0 (white or clear) to 1 (black), up to which the paper stays "
        "bare.",
    )
    contrast: float = Field(
        1.5,
        ge=0.25,
        le=4,
        description="Pictures: power of the ink above the threshold that the density of points goes "
        "with; more leaves half-tones emptier.",
    )


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
        description="Deviation of the data around its anchors that the network takes as known, in "
        "model coordinates: it is told noise beyond it only; null: data.bandwidth, 0: edm as in its "
        "paper.",
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
    draws: Literal["lattice", "stratified", "independent", "shared"] = Field(
        "lattice",
        description="How a batch is drawn. lattice: noise levels, anchors and noise together from a "
        "randomly shifted low-discrepancy lattice; stratified: one noise level from each of "
        "batch_size equal strata; independent: all by chance; shared: one noise level for the whole "
        "batch, as in tiny-tiny-diffusion.",
    )
    noise_exponent: float | None = Field(
        0.7,
        ge=0,
        le=1.5,
        description="Noise levels are drawn with a density that falls by this power of the noise "
        "ratio tau/alpha, per unit of its logarithm, and weighted by its inverse: 0 is even, more "
        "knows the loss better where noise is low; null: even in the path's own time, unweighted, as "
        "in the two originals.",
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
        description="Points drawn once and walked through in shuffled epochs, as in the two "
        "originals; null: every batch is a fresh draw.",
    )
    steps: int = Field(1200, ge=1, le=10_000_000, description="Optimiser steps.")
    batch_size: int = Field(1024, ge=1, le=1_000_000, description="Points per step.")
    optimizer: Literal["muon", "adam", "adamw"] = Field(
        "muon",
        description="muon: orthogonalised momentum for the matrices (Jordan et al. 2024) and Adam "
        "for the rest; adam: Kingma & Ba 2015; adamw: with weight decay 0.01.",
    )
    learning_rate: float = Field(
        5e-3, gt=0, le=10, description="Peak learning rate of Adam (and of the rest under muon)."
    )
    muon_learning_rate: float = Field(
        0.025, gt=0, le=10, description="Peak learning rate of the matrices under muon."
    )
    warmup: float = Field(
        0.02, ge=0, le=1, description="Share of the steps in which the learning rate rises to peak."
    )
    decay: float = Field(
        0.98,
        ge=0,
        le=1,
        description="Share of the steps in which it falls linearly to 0 at the end.",
    )
    ema: float = Field(
        0.98,
        ge=0,
        lt=1,
        description="Decay per step of the exponential moving average of the weights that is kept; "
        "0: the last weights.",
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

    @model_validator(mode="after")
    def _phases_fit(self) -> Training:
        if self.warmup + self.decay > 1:
            raise ValueError("warmup and decay together must not exceed 1")
        return self


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
    rho: float | None = Field(
        7.0,
        gt=0,
        le=100,
        description="Spacing of the noise levels, Karras et al. 2022, eq. 5; null: even in time.",
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
        description="Least noise ratio that is visited before clean points; null: the path's least.",
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
        128,
        ge=8,
        le=10_000,
        description="Quadrature nodes of kl_bound_nats along log(sigma/alpha).",
    )
    risk_draws: int = Field(
        2048, ge=16, le=1_000_000, description="Draws per node of the excess denoising risk."
    )
    ode_steps: int = Field(
        96,
        ge=8,
        le=10_000,
        description="Steps of kl_ode_nats along log(sigma/alpha), at most T - 1 if discrete.",
    )
    ode_draws: int = Field(
        2048,
        ge=16,
        le=1_000_000,
        description="Draws whose likelihood kl_ode_nats is the mean over.",
    )


def _alone(value: Any) -> Any:
    """Take a single number for a list of one, which is what a command line can hold."""
    return (value,) if isinstance(value, int) else value


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("each must be given once only")
    return values


class Samplers(Group):
    """The table of samplers: quality against number of function evaluations."""

    nfe: Annotated[
        tuple[Annotated[int, Field(ge=1, le=100_000)], ...],
        BeforeValidator(_alone),
        AfterValidator(_each_once),
    ] = Field(
        (5, 10, 20, 50, 100),
        min_length=1,
        description="Numbers of function evaluations, each from 1 to 100,000 and given once. Several "
        "are set in conf/local/parameters.yml, since Kedro splits a command line at commas; one alone is "
        "samplers.nfe=20. A sampler takes the most steps that fit; heun needs two evaluations for "
        "each step but the last.",
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


def _by_plus(value: Any) -> Any:
    """Split what a command line joins by +."""
    return tuple(value.split("+")) if isinstance(value, str) else value


class Rendering(Group):
    """The animation and the figures."""

    formats: Annotated[
        tuple[Literal["gif", "webp", "mp4"], ...],
        BeforeValidator(_by_plus),
        AfterValidator(_each_once),
    ] = Field(
        ("gif",),
        min_length=1,
        description="What the animation is written as, joined by + on a command line "
        "(gif+webp+mp4); a GIF always is. mp4 needs the extra video.",
    )

    frames: int = Field(80, ge=2, le=1000, description="Frames of the animation.")
    fps: int = Field(20, ge=1, le=50, description="Frames per second.")
    hold_seconds: float = Field(
        2.0, ge=0, le=60, description="How long the last frame stays, in seconds."
    )
    size: int = Field(480, ge=120, le=4096, description="Width and height of the animation, px.")
    points: int = Field(2000, ge=1, le=100_000, description="Points drawn in the animation.")
    theme: Literal["light", "dark"] = Field(
        "light", description="Paper of the films; the figures are on light paper."
    )
    palette: Literal["dusk", "viridis", "cividis"] = Field(
        "dusk",
        description="Colours of the films, from left to right; the lightness of each rises, so that it "
        "can be read with any colour vision.",
    )
    trails: int = Field(
        0,
        ge=0,
        le=100,
        description="Frames that the line behind each dot reaches back; 0: no lines.",
    )


class Player(Group):
    """The interactive film."""

    against: SamplerName | None = Field(
        None,
        description="Another sampler, shown beside the chain's own from the same noise; null: none.",
    )
    points: int = Field(1500, ge=10, le=10_000, description="Points that move.")


class Promotion(Group):
    """Which training of a shape is served: kedro run --pipelines promote."""

    metric: str = Field(
        "kl_bound_nats", min_length=1, description="Metric in MLflow that trainings are ranked by."
    )
    direction: Literal["minimize", "maximize"] = Field(
        "minimize", description="Whether less or more of it is better."
    )


class Many(Group):
    """Sampling into partitions, on as many workers as there are: kedro run --pipelines sample_many."""

    partition: int = Field(
        1_000_000,
        ge=2,
        le=10_000_000,
        description="Points of a partition, a Parquet file; memory goes with it.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=1024,
        description="Worker processes of one thread each on this machine; more than one need the extra "
        "sweep.",
    )
    address: str | None = Field(
        None, min_length=1, description="A Dask scheduler, tcp://HOST:PORT, instead of them."
    )


class Parameters(Group):
    """All parameters of a run."""

    shape: str = Field(
        "dino",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]*$",
        coerce_numbers_to_str=True,
        description="Name of the shape, a file data/01_raw/NAME.* or one that `kedro shapes` lists: "
        "letters, digits, and _ . - or spaces after the first.",
    )
    shape_file: str | None = Field(
        None,
        min_length=1,
        coerce_numbers_to_str=True,
        description="Path of a table of points (CSV, TSV, Parquet, JSON, NPY), a drawing (SVG) or a "
        "picture (PNG, JPEG, WebP); its stem names the shape unless `shape` does.",
    )
    text: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        coerce_numbers_to_str=True,
        description="A word to write; it names the shape unless `shape` does.",
    )
    max_megabytes: float = Field(
        256.0, gt=0, description="Size above which a shape's file is not read, in 10^6 bytes."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed that every random draw derives from.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto (cuda, then mps, then cpu), cpu, cuda, cuda:N or mps.",
    )
    threads: int = Field(
        2,
        ge=1,
        le=1024,
        description="CPU threads, at most one a core. A network this small gains nothing from more; "
        "with 1, other work on the machine can't stall it. Results are bit-equal for equal numbers.",
    )
    runs: str | None = Field(
        None,
        description="Two runs for the pipeline compare, joined by +: ids of runs in MLflow (or their "
        "first digits, six at least), or versions of models.",
    )
    n: int = Field(
        10_000_000, ge=2, le=10**12, description="Points that the pipeline sample_many draws."
    )
    resume: bool = Field(
        False,
        description="Whether training goes on where the newest interrupted one of this shape with these "
        "parameters stopped (more steps are allowed); from the beginning if there is none.",
    )
    tracking: bool = Field(True, description="Whether runs are recorded in MLflow.")
    source: Source = Source()
    data: Data = Data()
    schedule: Schedule = Schedule()
    network: Network = Network()
    training: Training = Training()
    sampling: Sampling = Sampling()
    evaluation: Evaluation = Evaluation()
    samplers: Samplers = Samplers()
    rendering: Rendering = Rendering()
    player: Player = Player()
    promotion: Promotion = Promotion()
    many: Many = Many()


def validate(values: Mapping[str, Any]) -> Parameters:
    """Check `values` (nested, as Kedro merges them) against the model.

    Raises
    ------
    PointillistError
        If a name is unknown or a value is out of bounds; one line for each, with the nearest name.
    """
    try:
        return Parameters.model_validate(dict(values))
    except ValidationError as error:
        raise PointillistError("\n".join(_explain(e) for e in error.errors())) from None


def _explain(error: ErrorDetails) -> str:
    *groups, name = (str(part) for part in error["loc"]) if error["loc"] else ("parameters",)
    full_name = ".".join([*groups, name])
    if error["type"] == "extra_forbidden":
        return f"Parameter {full_name!r} is unknown.{_suggest(groups, name)}"
    if error["type"] == "string_pattern_mismatch":
        allowed = Parameters.model_fields[name].description
        return f"Parameter {full_name!r} can't be {error['input']!r}. {allowed}"
    if error["type"] == "model_type":
        example = next(iter(Parameters().model_dump()[name].items()))
        return (
            f"Parameter {full_name!r} is a group (got {error['input']!r}). Set its members, as in "
            f"{full_name}.{example[0]}={example[1]}."
        )
    reason = error["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    value = "" if isinstance(error["input"], Mapping) else f" (got {_shown(error['input'])})"
    what = f"\n{_description(error['loc'])}" if error["type"] in _BOUNDS else ""
    return f"Parameter {full_name!r}: {reason}{value}.{what}"


_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")


def _description(place: tuple[int | str, ...]) -> str:
    """Return what the parameter at `place` is, and so why it is bounded."""
    model: Any = Parameters
    for name in place:
        field = model.model_fields.get(name) if hasattr(model, "model_fields") else None
        if field is None:
            break
        description, model = field.description, field.annotation
    return description or ""


def _shown(value: Any) -> str:
    """Return a value as a message can show it: on one line that is not too long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _suggest(groups: list[str], name: str) -> str:
    """Name the parameter that was probably meant: a sibling, or one of that name elsewhere."""
    known = [*Parameters.model_fields]
    known += [key for key in flatten(Parameters().model_dump()) if key not in known]
    prefix = ".".join([*groups, ""]) if groups else ""
    siblings = [key for key in known if key.startswith(prefix) and "." not in key[len(prefix) :]]
    if hint := nearest(prefix + name, siblings):
        return hint
    if elsewhere := [key for key in known if key.endswith(f".{name}")]:
        return f" Did you mean {elsewhere[0]!r}?"
    return f" Known: {', '.join(siblings)}."


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested `values` as one level with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted names as nested groups: what `flatten` takes apart."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        *groups, last = name.split(".")
        place = result
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return result


def _bounds(schema: Mapping[str, Any]) -> str:
    options = schema.get("anyOf", [schema])
    parts: list[str] = []
    for option in options:
        if "enum" in option:
            parts.append(", ".join(f"`{value}`" for value in option["enum"]))
            continue
        if option.get("type") == "null":
            parts.append("`null`")
            continue
        if option.get("type") == "array":
            above = " above 0" if "exclusiveMinimum" in str(option) else ""
            parts.append(f"a pair of numbers{above}" if "prefixItems" in option else "a list")
            continue
        low = option.get("minimum", option.get("exclusiveMinimum"))
        high = option.get("maximum", option.get("exclusiveMaximum"))
        left = "(" if "exclusiveMinimum" in option else "["
        right = ")" if "exclusiveMaximum" in option else "]"
        kind = {"integer": "whole number", "boolean": "true or false", "string": "text"}.get(
            option.get("type", ""), option.get("type", "")
        )
        if low is None and high is None:
            parts.append(kind)
        elif high is None:
            parts.append(f"{kind} {'above' if left == '(' else 'from'} {low:g}")
        else:
            parts.append(f"{kind} in {left}{low:g}, {high:g}{right}")
    return " or ".join(part for part in parts if part)


def _default(value: Any) -> str:
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def reference() -> Iterator[str]:
    """Yield the lines of docs/parameters.md."""
    yield "# Parameters"
    yield ""
    yield "Generated by `make docs` from `src/pointillist/parameters.py`. The defaults stand in"
    yield "`conf/base/`; an environment (`--env NAME`) overlays them, and a command line has the last"
    yield "word: `kedro run --params shape=cat,training.steps=500`."
    schema = Parameters.model_json_schema()
    groups = {"": schema} | {
        name: schema["$defs"][field["$ref"].rsplit("/", 1)[-1]]
        for name, field in (
            (name, {**field, **(field.get("allOf") or [{}])[0]})
            for name, field in schema["properties"].items()
        )
        if "$ref" in field
    }
    for prefix, group in groups.items():
        yield ""
        yield f"## {prefix or 'The run'}"
        yield ""
        yield group["description"]
        yield ""
        yield "| parameter | default | values | what it is |"
        yield "|---|---|---|---|"
        for name, field in group["properties"].items():
            if name in groups:
                continue
            full_name = f"{prefix}.{name}" if prefix else name
            description = field.get("description", "")
            yield (
                f"| `{full_name}` | `{_default(field.get('default'))}` | {_bounds(field)} "
                f"| {description} |"
            )


if __name__ == "__main__":
    print("\n".join(reference()))
