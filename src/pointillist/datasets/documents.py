"""JSON documents, written whole or not at all."""

from kedro_datasets import json

from pointillist.datasets.whole import Whole


class JSONDataset(Whole, json.JSONDataset):
    """Values as JSON."""
