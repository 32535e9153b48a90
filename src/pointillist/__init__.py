"""Learn any 2-D shape as a probability density and paint it out of noise, point by point."""

import os

__version__ = "0.1.0"

# Nothing phones home. `.telemetry` says the same to kedro-telemetry.
os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
