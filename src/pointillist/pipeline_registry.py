"""The pipelines that `kedro run --pipelines NAME` knows."""

from importlib import import_module
from pkgutil import iter_modules

from kedro.pipeline import Pipeline

from pointillist import pipelines

PICTURE = ("ingest", "train", "sample", "evaluate", "render")
"""The stages from a shape's name to its picture: the default run."""


def register_pipelines() -> dict[str, Pipeline]:
    """Map names to pipelines: every folder of `pipelines/` is a stage, and is run by its name.

    Training ingests what it needs. (Kedro's own `find_pipelines` finds only those that a command asks
    for; what a stage makes, and what comes next, is read off all of them.)
    """
    stages: dict[str, Pipeline] = {
        found.name: import_module(f"{pipelines.__name__}.{found.name}.pipeline").create_pipeline()
        for found in iter_modules(pipelines.__path__)
    }
    default = sum((stages[name] for name in PICTURE), Pipeline([]))
    return {**stages, "train": stages["ingest"] + stages["train"], "__default__": default}
