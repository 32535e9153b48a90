import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.figures import Figures

# Tests run side by side, one thread each: two pools of threads on the same cores stall each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Repeatable, and not timed: these machines are shared.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("soak", settings.get_profile("repeatable"), max_examples=2000)
settings.load_profile("soak" if "POINTILLIST_SOAK" in os.environ else "repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """Count what tests count."""
    config.pluginmanager.register(Figures())


PROJECT = Path(__file__).parent.parent
QUICK = ("diffusion", "models", "shapes", "test_command_line.py", "test_parameters.py")
# What these tests do by design: trainings, processes, sheets of pictures, a thousand points.
SLOW = (
    "test_accelerator.py",
    "test_bandwidths.py",
    "test_coarse.py",
    "test_metrics.py",
    "test_pictures.py",
    "test_points.py",
    "test_quality.py",
    "test_recipes.py",
    "test_tables.py",
    "test_two_sample.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as quick what needs no project of its own."""
    for item in items:
        place = item.path.relative_to(PROJECT / "tests")
        fixtures = set(getattr(item, "fixturenames", ()))
        if place.parts[0] in QUICK and place.name not in SLOW and "project" not in fixtures:
            item.add_marker("quick")


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its schema, which takes seconds to create: made once, then copied."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def copy_project(database: Path) -> Callable[[Path], Path]:
    """Copies the project into a folder, with nobody's data and a database that is ready."""

    def copy(folder: Path) -> Path:
        junk = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("conf", "src"):
            shutil.copytree(PROJECT / name, folder / name, ignore=junk)
        for name in ("pyproject.toml", ".telemetry"):
            shutil.copy(PROJECT / name, folder / name)
        shutil.copy(database, folder / "mlflow.db")
        (folder / "data" / "01_raw").mkdir(parents=True)
        return folder

    return copy


@pytest.fixture
def project(
    tmp_path: Path, copy_project: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project of one's own to run in."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return copy_project(tmp_path / "project")
