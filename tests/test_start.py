"""What a command imports before it begins, and what waits until it is needed."""

import os
import subprocess
import sys

import pytest

HEAVY = {
    "matplotlib.pyplot",
    "mlflow",
    "optuna",
    "distributed",
    "plotly",
    "scipy",
    "sklearn",
    "sqlalchemy",
}
"""What neither reading a shape nor the first step of a training takes."""

COMMAND = """
import sys
from kedro.framework.cli import main
sys.argv = ["kedro", *{arguments!r}]
try:
    main()
except SystemExit:
    pass
print(sorted({heavy!r} & {{*sys.modules}}))
"""
FIRST_STEP = """
import os, sys
from kedro.framework.cli import main
from pointillist.diffusion import training
train = training.train
def first_step(*arguments, **options):
    next(train(*arguments, **options))
    print(sorted({heavy!r} & {{*sys.modules}}), flush=True)
    os._exit(0)
training.train = first_step
sys.argv = ["kedro", "run", "--params", "training.report_every=1"]
main()
"""


def heavy_modules(project, code):
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = result.stdout.strip().splitlines()
    assert lines, result.stderr
    return lines[-1]


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["--help"], {"torch", "pandas", "numpy", "matplotlib"}),
        (["run", "--pipelines", "ingest"], {"torch", "matplotlib"}),
    ],
    ids=["help", "ingest"],
)
def test_a_command_imports_what_it_needs(project, arguments, more):
    assert heavy_modules(project, COMMAND.format(arguments=arguments, heavy=HEAVY | more)) == "[]"


def test_the_first_step_of_the_default_run_waits_for_nothing_else(project):
    code = FIRST_STEP.format(heavy=HEAVY | {"matplotlib"})
    assert heavy_modules(project, code) == "[]"
