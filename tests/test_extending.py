"""A sampler is added in one file; a stage in its own folder, the catalog and its parameters."""

import json

import pandas as pd
import pytest

from tests.projects import QUICK_TEXT, kedro, saved

SAMPLER = '''

@sampler()
def one_look(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    """Take the posterior mean at the first level for good: x_s = alpha_s D(x_T) + sigma_s eps."""
    x0 = denoise(x, _at(levels[0], x))
    for level in levels[1:]:
        yield level.alpha * x0 + level.sigma * _noise_like(x, generator)
'''

PIPELINE = '''
from kedro.pipeline import Node, Pipeline

from pointillist.diffusion.config import Toy
from pointillist.models import TrainedDenoiser


def measure_spread(denoiser: TrainedDenoiser, samples, toy: Toy):
    """Compare the spread of samples with that of the points, in parts of it."""
    return {"spread": float(samples.std().mean() / denoiser.points.std() * toy.factor)}


def create_pipeline() -> Pipeline:
    nodes = [Node(measure_spread, ["denoiser", "samples", "params:toy"], "spread", name="measure_spread")]
    return Pipeline(nodes, namespace="spread", prefix_datasets_with_namespace=False)
'''

CATALOG = """
spread:
  type: pointillist.datasets.AtomicDataset
  versioned: true
  dataset: json.JSONDataset
  filepath: data/08_reporting/${_shape}/spread.json
  metadata: {kedro-viz: {layer: reporting}, mlflow: {metrics: true}, summary: Spread}
"""


@pytest.mark.parametrize("stages", ["ingest,train,sample"])
def test_a_sampler_is_added_in_one_file(project, stages):
    file = project / "src/pointillist/diffusion/samplers.py"
    file.write_text(file.read_text() + SAMPLER)
    given = f"{QUICK_TEXT},tracking=false,sampling.sampler=one_look"
    result = kedro(project, "run", "--pipelines", stages, "--params", given)
    assert result.returncode == 0, result.stderr
    table = pd.read_parquet(next(p for p in saved(project, "samples") if p.suffix == ".parquet"))
    assert len(table) == 500
    wrong = kedro(project, "run", "--params", "sampling.sampler=one_lock")
    assert "Did you mean 'one_look'?" in wrong.stderr


def test_a_stage_is_added_in_its_folder_the_catalog_and_its_parameters(project):
    stage = project / "src/pointillist/pipelines/spread"
    stage.mkdir()
    (stage / "__init__.py").touch()
    (stage / "pipeline.py").write_text(PIPELINE)
    catalog = project / "conf/base/catalog.yml"
    catalog.write_text(catalog.read_text() + CATALOG)
    (project / "conf/base/parameters_spread.yml").write_text("toy: {factor: 2.0}\n")
    config = project / "src/pointillist/diffusion/config.py"
    config.write_text(config.read_text() + "\n\nclass Toy(Group):\n    factor: float = 1.0\n")
    parameters = project / "src/pointillist/parameters.py"
    text = parameters.read_text().replace("    Training,\n)", "    Training,\n    Toy,\n)")
    parameters.write_text(
        text.replace("    many: Many = Many()", "    many: Many = Many()\n    toy: Toy = Toy()")
    )
    missing = kedro(project, "run", "--pipelines", "spread")
    assert "kedro run --pipelines train,sample --params shape=dino" in missing.stderr
    assert (
        kedro(project, "run", "--pipelines", "train,sample", "--params", QUICK_TEXT).returncode == 0
    )
    result = kedro(project, "run", "--pipelines", "spread", "--params", "toy.factor=1")
    assert result.returncode == 0, result.stderr
    assert "Spread " in result.stdout
    [file] = saved(project, "spread")
    found = json.loads(file.read_text())["spread"]
    assert 0.1 < found < 10
