"""At the edge of a run: one spelling of a shape, and messages that name file, reason and cure."""

from pathlib import Path

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from pointillist.errors import PointillistError, causes
from pointillist.models import TrainedDenoiser
from pointillist.shapes.naming import name_from

TINY = {
    "tracking": False,
    "training": {"steps": 2, "batch_size": 8},
    "sampling": {"steps": 2, "n_samples": 200},
    "evaluation": {
        "n_eval": 200,
        "noise_levels": 8,
        "risk_draws": 16,
        "ode_steps": 8,
        "ode_draws": 16,
    },
}


def run(project: Path, *pipelines: str, **parameters) -> None:
    bootstrap_project(project)
    options = {"project_path": project, "runtime_params": TINY | parameters}
    with KedroSession.create(**options) as session:
        session.run(pipeline_names=list(pipelines))


def test_a_shape_has_one_spelling_in_paths_checkpoint_and_commands(project, capsys):
    run(project, "train", shape="PYTHON")
    (model,) = project.glob("data/06_models/*/denoiser.safetensors/*/*")
    assert model.parts[-4] == "Python"
    assert TrainedDenoiser.read(model).shape == "Python"
    assert "kedro run --pipelines sample --params shape=Python" in capsys.readouterr().out


def test_what_is_given_takes_the_place_of_the_source_in_globals(project):
    """There, a word may be a number to YAML."""
    (project / "conf" / "local" / "globals.yml").write_text("text: 2024\nshape: CAT\n")
    run(project, "ingest")
    run(project, "ingest", shape="heart")
    run(project, "ingest", text="${seed}".replace("$", "\\$"))
    made = {path.name for path in (project / "data" / "02_intermediate").iterdir()}
    assert made == {"2024", "heart", name_from("${seed}")}


def test_a_damaged_table_is_named_with_reason_and_cure(project):
    run(project, "train", "sample")
    (table,) = project.glob("data/07_model_output/dino/samples.parquet/*/*")
    table.write_bytes(table.read_bytes()[:100])
    with pytest.raises(PointillistError) as error:
        run(project, "evaluate")
    said, cure = str(error.value).splitlines()
    assert said.startswith(f"{table.relative_to(project)} can't be read: ")
    assert "Parquet" in said
    assert cure.startswith("Make it again: kedro run --pipelines sample --params shape=dino")
    assert "--load-versions samples:" in cure


def test_unforeseen_errors_keep_their_type(project, monkeypatch):
    """Even where they come up while a foreseen one is handled."""

    def faulty(*arguments):
        try:
            Path("/nowhere/at/all").read_text()
        except FileNotFoundError:
            raise TypeError("a fault of ours")  # noqa: B904 - that is what is tested

    monkeypatch.setattr("pointillist.shapes.Normalizer.fit", faulty)
    with pytest.raises(TypeError, match="a fault of ours"):
        run(project, "ingest")


def test_causes_are_what_errors_were_raised_from():
    first, second = OSError("1"), ValueError("2")
    second.__context__ = first
    assert list(causes(second)) == [second]
    second.__cause__ = first
    assert list(causes(second)) == [second, first]
