"""`make ui`: MLflow's pages over this project's runs, on 127.0.0.1."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

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
    store = stores.configured(project)
    _, experiment_id = stores.connect(store)
    print(f"Runs: {store.page(experiment_id, port=port)}", flush=True)
    if store.is_server:
        return
    print("(Ctrl-C ends the server)", flush=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--default-artifact-root", str(store.artifact_location)]
    # Not among the arguments, which everybody on the machine can read: it may hold a password.
    os.environ["MLFLOW_BACKEND_STORE_URI"] = store.tracking_uri
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
