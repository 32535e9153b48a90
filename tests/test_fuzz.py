"""Whatever stands on a command line: it is accepted, or refused in words; never a traceback."""

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner

from pointillist.cli import cli
from pointillist.groups import flatten
from pointillist.parameters import Parameters

NAMES = sorted({*flatten(Parameters().model_dump()), *Parameters.model_fields})
VALUES = (
    st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(
        ["", "null", "true", "no", "cat", "[1", "{a: 1}", "${globals:shape}", "1e400"]
    )
    | st.text(max_size=12)
)
PAIRS = st.tuples(st.sampled_from(NAMES) | st.text(max_size=10), VALUES).map("=".join)
PARAMETERS = st.lists(PAIRS, max_size=4).map(",".join) | st.text(max_size=20)
OPTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("--params"), PARAMETERS),
        st.tuples(
            st.sampled_from(["--pipelines", "--nodes", "--tags", "--env", "--load-versions"]),
            st.text(max_size=10) | st.sampled_from(["train", "sample", "gpu", "denoiser:x"]),
        ),
        st.tuples(
            st.sampled_from(["--runner", "--from-nodes", "--to-outputs", "--conf-source"])
        ).flatmap(lambda option: st.text(max_size=8).map(lambda value: (*option, value))),
        st.tuples(st.text(max_size=8)),
    ),
    max_size=3,
).map(lambda options: [word for option in options for word in option])


@pytest.fixture(scope="module")
def project(tmp_path_factory, copy_project):
    return copy_project(tmp_path_factory.mktemp("fuzz") / "project")


def test_a_command_line_is_accepted_or_refused_in_words(project, monkeypatch):
    """Pipelines are put together, but nothing is computed: that is other tests' affair."""
    monkeypatch.setattr(SequentialRunner, "run", lambda *_, **__: {})
    monkeypatch.chdir(project)
    monkeypatch.setenv("KEDRO_DISABLE_TELEMETRY", "1")
    metadata = bootstrap_project(project)
    before = set(project.parent.rglob("*"))

    @settings(suppress_health_check=list(HealthCheck), max_examples=150)
    @given(options=OPTIONS)
    def tried(options):
        result = CliRunner().invoke(
            cli, ["run", "--params", "tracking=false", *options], obj=metadata
        )
        accepted = result.exit_code == 0
        assert accepted or isinstance(result.exception, SystemExit), (options, result.exception)
        assert "Traceback" not in result.output
        assert accepted or "Error" in result.output, (options, result.output)

    tried()
    new = set(project.parent.rglob("*")) - before
    kept = {p for p in new if not {".viz", ".versions", "__pycache__", "data"} & set(p.parts)}
    assert not kept
    assert not [p for p in new if p.is_file() and "data" in p.parts and ".versions" not in p.parts]
