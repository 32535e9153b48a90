"""The pipelines that `kedro run --pipelines NAME` knows."""

from kedro.pipeline import Pipeline

from pointillist.pipelines.compare.pipeline import create_pipeline as compare
from pointillist.pipelines.evaluate.pipeline import create_pipeline as evaluate
from pointillist.pipelines.explain.pipeline import create_pipeline as explain
from pointillist.pipelines.gallery.pipeline import create_pipeline as gallery
from pointillist.pipelines.ingest.pipeline import create_pipeline as ingest
from pointillist.pipelines.player.pipeline import create_pipeline as player
from pointillist.pipelines.promote.pipeline import create_pipeline as promote
from pointillist.pipelines.render.pipeline import create_pipeline as render
from pointillist.pipelines.report.pipeline import create_pipeline as report
from pointillist.pipelines.sample.pipeline import create_pipeline as sample
from pointillist.pipelines.sample_many.pipeline import create_pipeline as sample_many
from pointillist.pipelines.samplers.pipeline import create_pipeline as samplers
from pointillist.pipelines.train.pipeline import create_pipeline as train


def register_pipelines() -> dict[str, Pipeline]:
    """Map names to pipelines. Training ingests what it needs; the default is the five stages of
    a picture; the table of samplers and the gallery are questions of their own.
    """
    return {
        "__default__": ingest() + train() + sample() + evaluate() + render(),
        "ingest": ingest(),
        "train": ingest() + train(),
        "sample": sample(),
        "evaluate": evaluate(),
        "render": render(),
        "samplers": samplers(),
        "explain": explain(),
        "gallery": gallery(),
        "player": player(),
        "report": report(),
        "compare": compare(),
        "promote": promote(),
        "sample_many": sample_many(),
    }
