"""Project settings. https://docs.kedro.org/en/stable/configure/project_settings/."""

import gc
import warnings

# What is imported stays: to search all of it for garbage again and again takes a quarter of the start.
gc.set_threshold(100_000, *gc.get_threshold()[1:])

from pointillist import runtime
from pointillist.config_loader import AnywhereConfigLoader
from pointillist.hooks import ProjectHooks
from pointillist.sessions import UniqueSessions
from pointillist.tracking import MlflowHooks

# Kedro's own use of omegaconf, which nobody here can mend.
warnings.filterwarnings("ignore", message=r"\s*register_new_resolver\(\) is deprecated")

runtime.configure()

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
