"""`make ui`: MLflow's pages over this project's runs, on 127.0.0.1."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

from kedro.config import OmegaConfigLoader

from pointillist.errors import PointillistError
from pointillist.tracking import store as stores


def main() -> None:
    """Serve the embedded store, or say where the configured server is."""
    parser = argparse.ArgumentParser(prog="python -m pointillist.tracking", description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    options = parser.parse_args()
    try:
        _serve(Path.cwd(), options.port)
    except PointillistError as error:
        sys.exit(f"Error: {error}")


def _serve(project: Path, port: int) -> None:
    if not (project / "conf" / "base").is_dir():
        raise PointillistError(
            f"{project} is no project (it has no conf/base). Change to its folder."
        )
    # Kedro's own use of omegaconf, which nobody here can mend.
    warnings.filterwarnings("ignore", message=r"\s*register_new_resolver\(\) is deprecated")
    loader = OmegaConfigLoader(
        str(project / "conf"),
        base_env="base",
        default_run_env="local",
        config_patterns={"mlflow": ["mlflow*"]},
    )
    settings = stores.read_settings(loader["mlflow"])
    store = stores.resolve(settings, project)
    if store.is_server:
        print(f"Runs are recorded by the server at {store.shown}: open that address.")
        return
    _, experiment_id = stores.connect(store, settings.experiment)
    address = stores.runs_address(f"http://127.0.0.1:{port}", experiment_id)
    print(f"Runs: {address}  (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--backend-store-uri", store.tracking_uri]
    command += ["--default-artifact-root", str(store.artifact_location)]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
