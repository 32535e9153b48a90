"""What is mistyped on the command line is said in a line, with what would have been right."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.cli.project import run as kedro_run

from pointillist import cli
from tests.projects import QUICK_TEXT, kedro, run

DAMAGED_PARAMETERS = {
    "shpae: cat": "Parameter 'shpae' is unknown. Did you mean 'shape'?",
    "a: [": "conf/local/parameters.yml, unable to read line 1",
    "seed: ${nope}": "The parameters can't be read: Interpolation key 'nope' not found",
}


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m ARGUMENTS` in `folder` of a copied project."""
    project = next(p for p in (folder, *folder.parents) if (p / "pyproject.toml").exists())
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(project / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_run_has_the_options_and_the_help_of_kedros_own():
    ours, theirs = ({p.name: p for p in command.params} for command in (cli.run, kedro_run))
    assert list(ours) == list(theirs)
    assert cli.run.help == kedro_run.help
    same = [name for name, option in theirs.items() if ours[name] is option]
    # --params is read, and so described, in our own way.
    assert set(theirs) - set(same) == {"params"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pipelines", "trian"], "Pipeline 'trian' is unknown. Did you mean 'train'?"),
        (
            ["--pipelines", "ingest,nope"],
            "Known: compare, evaluate, explain, export, gallery, ingest",
        ),
        (["--pipeline", "nope"], "Pipeline 'nope' is unknown."),
        (["--runner", "ThredRunner"], "Did you mean 'ThreadRunner'?"),
        (["--runner", "ParallelRunner"], "ParallelRunner can't be used: stages hand"),
        (["--load-versions", "denoiser"], "Expected the form of 'load_versions'"),
        (["--pipeline", "train", "--pipelines", "train"], "cannot be used together"),
    ],
)
def test_options_that_fit_nothing_are_refused_in_a_line(arguments, said):
    result = CliRunner().invoke(cli.run, arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--env", "fsat"], "Environment 'fsat' is unknown. Did you mean 'fast'? Known: base,"),
        (["--nodes", "nope"], "nodes named ['nope']"),
        (["--tags", "nope"], "contains no nodes"),
        (["--load-versions", "nope:2020"], "keys [nope] are not found in the catalog"),
    ],
)
def test_names_that_the_project_does_not_have_are_refused_in_a_line(project, arguments, said):
    result = command(project, "kedro", "run", *arguments)
    assert result.returncode == 1
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("content", DAMAGED_PARAMETERS)
def test_every_command_says_what_is_wrong_with_the_configuration(project, content):
    (project / "conf/local/parameters.yml").write_text(content)
    result = command(project, "kedro", "catalog", "describe-datasets")
    assert result.returncode == 1
    assert DAMAGED_PARAMETERS[content] in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_packaged_project_runs_without_kedros_command(project):
    result = command(project, "pointillist", "--params", "shpae=cat")
    assert result.returncode == 1
    assert result.stderr.strip() == "Error: Parameter 'shpae' is unknown. Did you mean 'shape'?"


def test_a_run_from_another_folder_of_the_project_is_as_calm(project):
    result = command(project / "data", "kedro", "run", "--pipelines", "ingest")
    assert result.returncode == 0, result.stderr
    assert (project / "data/02_intermediate/dino").is_dir()
    assert "Loading data from" not in result.stdout + result.stderr
    assert "Completed node" not in result.stdout + result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminal there")
def test_ctrl_c_leaves_the_terminal_as_it_was(project):
    """The bar hides the cursor; it must be there again, in the order in which bytes are sent."""
    import pty

    keyboard, screen = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--params", "tracking=false,training.steps=1000000"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src"), "TERM": "xterm"},
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
    )
    os.close(screen)
    shown = b""
    interrupted = False
    while True:
        try:
            shown += os.read(keyboard, 65536)
        except OSError:  # how Linux says that nobody writes any more
            break
        if not interrupted and b"\x1b[?25l" in shown:
            process.send_signal(2)
            interrupted = True
    os.close(keyboard)
    assert process.wait(timeout=60) == 130, shown.decode(errors="replace")
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l") > 0
    assert shown.strip().endswith(
        b"Stopped. The same command with resume=true continues a training."
    )


def test_a_place_without_a_project_is_said_in_two_lines(tmp_path):
    command = [sys.executable, "-m", "pointillist"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Run in the folder of a project" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_terminal_without_a_sign_for_a_letter_shows_a_question_mark(project):
    """The work is done by then; the summary must not end the run."""
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(project / "src")}
    command = [sys.executable, "-m", "kedro", "run", "--params", f"{QUICK_TEXT},text=Ünï"]
    result = subprocess.run(
        command, cwd=project, env=ascii_only, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "?n?: samples beside the truth" in result.stdout


def test_parameters_without_effect_are_named(project):
    run(project, "train")
    given = "schedule.kind=linear,sampling.eta=0.5,sampling.n_samples=100,tracking=false"
    result = kedro(project, "run", "--pipelines", "sample", "--params", given)
    said = result.stdout + result.stderr
    assert "schedule.kind has no effect here: only train takes it." in said
    assert "sampling.eta has no effect on dpmpp_2m_sde." in said
    assert "n_samples has no effect" not in said
