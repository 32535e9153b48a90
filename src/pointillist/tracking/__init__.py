"""MLflow: the hook and the live recorder. No other room imports mlflow, and none is slowed by it."""

from pointillist.tracking.hooks import RunSummary, TrackingHooks, last_run

__all__ = ["RunSummary", "TrackingHooks", "last_run"]
