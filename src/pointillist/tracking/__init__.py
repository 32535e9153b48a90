"""MLflow: the hook and the live recorder. No other room imports mlflow, and none is slowed by it."""

from pointillist.tracking.hooks import RunSummary, TrackingHooks, last_run, trial_of
from pointillist.tracking.lookup import model_versions
from pointillist.tracking.parents import (
    KEY,
    SWEEP,
    Child,
    Parent,
    child,
    patiently,
    record_failure,
)
from pointillist.tracking.sync import send_all

__all__ = [
    "KEY",
    "SWEEP",
    "Child",
    "Parent",
    "RunSummary",
    "TrackingHooks",
    "child",
    "last_run",
    "model_versions",
    "patiently",
    "record_failure",
    "send_all",
    "trial_of",
]
