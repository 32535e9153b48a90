"""MLflow: the hook and the live recorder. No other room imports mlflow, and none is slowed by it."""

from pointillist.tracking.hooks import RunSummary, TrackingHooks, last_run
from pointillist.tracking.lookup import model_versions
from pointillist.tracking.sync import send_all

__all__ = ["RunSummary", "TrackingHooks", "last_run", "model_versions", "send_all"]
