"""MLflow: the hooks that record runs, and what else knows of it. No other room imports mlflow."""

from pointillist.tracking.lookup import model_versions, run_version
from pointillist.tracking.mlflow_hooks import MlflowHooks
from pointillist.tracking.sweep_runs import (
    KEY,
    SWEEP,
    Child,
    Parent,
    child,
    patiently,
    record_failure,
    trial_of,
)
from pointillist.tracking.sync import send_all
from pointillist.tracking.unsent import FOLDER as OUTBOX

__all__ = [
    "KEY",
    "OUTBOX",
    "SWEEP",
    "Child",
    "MlflowHooks",
    "Parent",
    "child",
    "model_versions",
    "patiently",
    "record_failure",
    "run_version",
    "send_all",
    "trial_of",
]
