"""What is recorded is what registry, catalog and docs say, and a run's record is its own."""

import re
from pathlib import Path

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from pointillist.pipeline_registry import register_pipelines
from tests.projects import QUICK, mlflow, run

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory, copy_project):
    project = copy_project(tmp_path_factory.mktemp("catalog") / "project")
    bootstrap_project(project)
    with KedroSession.create(project) as session:
        return session.load_context().catalog


def recorded(catalog, pipeline):
    """The metadata for MLflow of the outputs of a pipeline, by their name."""
    about = {
        name: (getattr(catalog.get(name), "metadata", None) or {}).get("mlflow")
        for name in pipeline.all_outputs()
    }
    return {name: wishes for name, wishes in about.items() if wishes is not None}


def test_every_stage_that_computes_or_draws_is_recorded(catalog):
    unrecorded = {
        name for name, pipeline in register_pipelines().items() if not recorded(catalog, pipeline)
    }
    assert unrecorded == {"ingest", "export"}, "what only rewrites data"


def test_every_page_and_picture_of_the_docs_is_in_mlflow(catalog):
    rows = re.findall(r"^\| `kedro run([^`]*)` \| (.*) \|$", (DOCS / "see_it.md").read_text(), re.M)
    assert len(rows) >= 6
    for options, made in rows:
        stage = re.search(r"--pipelines (\w+)", options)
        pipeline = register_pipelines()[stage[1] if stage else "__default__"]
        artifacts = {
            catalog.get(name).folder.name
            for name, wishes in recorded(catalog, pipeline).items()
            if wishes.get("artifact")
        }
        assert {Path(file).name for file in re.findall(r"`([\w/]+\.\w+)`", made)} <= artifacts


def test_stages_of_several_models_are_recorded(project):
    first = run(project, "train")
    second = run(project, "train", "sample", "evaluate", seed=1)
    run(project, "gallery")
    run(project, "compare", runs=f"{first}+{second}")
    run(project, "sample_many", n=1000, many={"partition": 500})
    run(project, "promote")
    client, (_, trained, *runs) = mlflow(project)
    files = [
        {file.path for file in client.list_artifacts(r.info.run_id, "reporting")} for r in runs
    ]
    assert [r.info.run_name for r in runs] == [
        "dino gallery",
        "dino compare",
        "dino sample_many",
        "dino promote",
    ]
    assert files == [
        {"reporting/gallery.png"},
        {"reporting/comparison.html"},
        {"reporting/many_summary.json"},
        set(),
    ]
    assert runs[1].data.params["runs"] == f"{first}+{second}"
    assert (runs[2].data.params["n"], runs[2].data.params["many.partition"]) == ("1000", "500")
    assert runs[2].data.tags["training_run_id"] == trained.info.run_id
    assert runs[3].data.params["promotion.metric"] == "sw2"
    assert {r.info.status for r in runs} == {"FINISHED"}


def test_another_sampler_has_a_record_of_its_own(project):
    """A model that is sampled and evaluated again leaves its training's record as it is."""
    run(project)
    client, (trained,) = mlflow(project)
    sampled = run(project, "sample", sampling=QUICK["sampling"] | {"sampler": "ddpm", "steps": 3})
    run(project, "evaluate", run=sampled)
    _, (same, _, evaluated) = mlflow(project)
    assert same.data.metrics == trained.data.metrics
    run(project, "render", run=evaluated.info.run_id[:12])
    assert mlflow(project)[1][-1].data.tags["loaded.reverse_chain"] == sampled
    assert evaluated.data.metrics["sw2"] != trained.data.metrics["sw2"]
    assert evaluated.data.tags["training_run_id"] == trained.info.run_id
    assert (evaluated.data.params["sampling.sampler"], evaluated.data.params["sampling.steps"]) == (
        "ddpm",
        "3",
    )
