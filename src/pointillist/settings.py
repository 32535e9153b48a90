"""Project settings. https://docs.kedro.org/en/stable/configure/project_settings/."""

import atexit
import gc
import os
import warnings

from pointillist.config_loader import AnywhereConfigLoader
from pointillist.hooks import ProjectHooks
from pointillist.sessions import UniqueSessions
from pointillist.tracking import MlflowHooks

# Kedro's own use of omegaconf, which nobody here can mend.
warnings.filterwarnings("ignore", message=r"\s*register_new_resolver\(\) is deprecated")

# Torch's threads wait for each other by spinning. Beside another busy process libgomp's own patience
# costs many times the work; this much is enough where the cores are free. Read as torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# A process that ends would search through everything that was ever imported, for a second.
atexit.register(gc.freeze)

_recording = MlflowHooks()
HOOKS = (ProjectHooks(_recording), _recording)
SESSION_STORE_CLASS = UniqueSessions
CONFIG_LOADER_CLASS = AnywhereConfigLoader
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment changes single parameters, not whole groups.
    "merge_strategy": {"parameters": "soft"},
    "config_patterns": {"mlflow": ["mlflow*"], "sweeps": ["sweeps*"]},
}
