"""What a sweep varies, and what it refuses before anything starts."""

import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointillist.errors import PointillistError
from pointillist.parameters import Parameters
from pointillist.sweeps import plan, ranking
from pointillist.sweeps.plan import Sweep, Trial
from pointillist.sweeps.search import Search, source_of
from pointillist.sweeps.worker import Outcome

BASE = Parameters().model_dump(mode="json")
PIPELINES = ["train", "sample", "evaluate"]
GRID = {"grid": {"training.steps": [10, 20], "network.width": [8, 16, 32]}, "seeds": [0, 1]}


def test_a_grid_is_every_combination_with_every_seed():
    sweep = Sweep.model_validate(GRID)
    trials = [t for c in sweep.configurations() for t in plan.trials_of(sweep, c, {"shape": "cat"})]
    assert len(trials) == 2 * 3 * 2
    assert len({trial.key for trial in trials}) == 12
    assert all(trial.parameters["shape"] == "cat" for trial in trials)
    assert sweep.varied == ("training.steps", "network.width")
    plan.check(sweep, {"shape": "cat"}, BASE, PIPELINES, ["ddpm"])


def test_a_list_is_taken_as_it_is():
    sweep = Sweep.model_validate({"list": [{"shape": "cat"}, {"shape": "dino", "threads": 1}]})
    assert sweep.configurations() == [{"shape": "cat"}, {"shape": "dino", "threads": 1}]
    assert sweep.varied == ("shape", "threads")


@given(
    st.dictionaries(st.sampled_from(["a", "b.c", "seed"]), st.integers() | st.text(), min_size=1)
)
def test_a_key_depends_on_what_is_set_and_on_nothing_else(parameters):
    one = Trial({}, {"seed": 0, **parameters}, ("train",))
    turned = dict(reversed({"seed": 0, **parameters}.items()))
    assert one.key == Trial({"x": 1}, turned, ("train",)).key
    assert one.key != Trial({}, {"seed": 0, **parameters}, ("train", "sample")).key
    assert one.key != Trial({}, {"seed": 0, **parameters, "more": 1}, ("train",)).key


REFUSED = {
    "an unknown parameter": ({"grid": {"training.stepz": [1]}}, {}, "training.steps"),
    "a value out of bounds": ({"grid": {"training.steps": [5, -1]}}, {}, "greater than or equal"),
    "an end of a search out of bounds": (
        {"search": {"training.learning_rate": {"low": 0.1, "high": 100}}},
        {},
        "less than or equal to 10",
    ),
    "what varies, fixed": (GRID, {"network.width": 8}, "it can't be fixed"),
    "a seed on the command line": (GRID, {"seed": 3}, "seeds, in conf"),
    "an unknown pipeline": ({**GRID, "pipelines": ["trian"]}, {}, "Did you mean 'train'"),
    "an unknown parameter on the command line": (GRID, {"x": 1}, "unknown"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_run_is_refused_before_anything_starts(name):
    values, fixed, said = REFUSED[name]
    with pytest.raises(PointillistError, match=said):
        plan.check(Sweep.model_validate(values), fixed, BASE, PIPELINES, ["ddpm"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "exactly one of grid, list and search"),
        ({**GRID, "list": []}, "exactly one"),
        ({**GRID, "seedz": [1]}, "seedz: unknown. Did you mean 'seeds'"),
        ({"grid": {}}, "nothing is varied"),
        ({"search": {}}, "nothing is varied"),
        ({"list": []}, "nothing is varied"),
        ({"grid": {"a": []}}, "a has no value"),
        ({"grid": {"a": [1, 2, 1.0]}}, "a has 1.0 twice"),
        ({"list": [{"a": 1}, {"a": 1}]}, "twice"),
        ({**GRID, "seeds": [0, 0]}, "seeds has 0 twice"),
        ({"grid": {"seed": [0, 1]}}, "seeds are given by seeds"),
        ({**GRID, "parameters": {"seed": 5}}, "seeds are given by seeds"),
        ({"grid": {"a.b": [1, 2]}, "parameters": {"a": {"b": 3}}}, "a.b is varied"),
        ({**GRID, "pipelines": []}, "pipelines are none"),
        ({"search": {"a": {"low": 2, "high": 1}}}, "low .2. is above high .1."),
        ({"search": {"a": {"low": 0, "high": 1, "log": True}}}, "low above 0"),
        ({"search": {"a": {"choices": []}}}, "choices are none"),
        ({**GRID, "seeds": []}, "seeds"),
        ({"search": {"a": {"low": 1}}}, "low and high, or choices"),
    ],
)
def test_a_sweep_that_is_none_is_said_with_file_and_key(values, said):
    with pytest.raises(PointillistError, match=rf"conf/\*/sweeps.yml, mine.*{said}"):
        plan.read({"mine": values}, "mine")
    with pytest.raises(PointillistError, match="Did you mean 'mine'"):
        plan.read({"mine": values}, "mien")


def test_every_sweep_of_the_project_can_run(project):
    import yaml

    known = [path.name for path in project.glob("conf/*")]
    for file in project.glob("conf/*/sweeps.yml"):
        sweeps = yaml.safe_load(file.read_text())
        for name in (name for name in sweeps if not name.startswith("_")):
            sweep = plan.read(sweeps, name)
            assert sweep.about, name
            plan.check(sweep, {"threads": 1}, BASE, PIPELINES, known)


def outcome(configuration, seed, value, error=""):
    trial = Trial(configuration, {**configuration, "seed": seed}, ("train",))
    metrics = {} if value is None else {"sw2": value, "sw2_floor": 0.5}
    return Outcome(trial, metrics, "v", error, 2.0)


def test_the_ranking_has_means_spreads_and_floors():
    sweep = Sweep.model_validate({"grid": {"a": [1, 2, 3]}, "seeds": [0, 1], "metric": "sw2"})
    outcomes = [outcome({"a": 1}, seed, value) for seed, value in ((0, 3.0), (1, 5.0))]
    outcomes += [outcome({"a": 2}, seed, 1.0) for seed in (0, 1)]
    outcomes += [outcome({"a": 3}, 0, None, "bad luck"), outcome({"a": 3}, 1, None, "bad luck")]
    table = ranking.ranked(sweep, outcomes)
    assert table["a"].tolist() == [2, 1, 3]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["sw2"].tolist()[:2] == [1.0, 4.0]
    assert table["sw2_std"].tolist()[:2] == [0.0, pytest.approx(math.sqrt(2))]
    assert math.isnan(table["sw2"].iloc[2])
    assert table["seeds"].tolist() == [2, 2, 0]
    assert ranking.best_metrics(table) == {"sw2": 1.0}
    assert ranking.mean_of(sweep, outcomes[:2]) == 4.0
    assert ranking.mean_of(sweep, outcomes[4:]) is None
    json.dumps(table.to_dict("records"))


def test_what_was_tried_twice_is_no_further_evidence():
    sweep = Sweep.model_validate({"search": {"a": {"choices": [1, None]}}, "metric": "sw2"})
    table = ranking.ranked(sweep, [outcome({"a": a}, 0, 2.0) for a in (1, 1, None)])
    assert table["seeds"].tolist() == [1, 1]
    assert table["a"].tolist() == [1, "null"]


def test_a_search_that_goes_on_begins_with_what_it_has_tried():
    space = {
        "x": {"low": -5.0, "high": 5.0},
        "k": {"low": 1, "high": 9, "whole": True},
        "c": {"choices": [0.5, None]},
    }
    sweep = Sweep.model_validate({"search": space, "trials": 12})
    first = Search(sweep)
    tried = [first.ask() for _ in range(7)]
    # As MLflow has it, once for each of two seeds, and one of another sweep.
    recorded = [{name: str(value) for name, value in c.items()} for c in tried for _ in "ab"]
    search = source_of(sweep, [*recorded, {"x": "77"}])
    again = []
    while (configuration := search.ask()) is not None:
        again.append(configuration)
        search.tell(configuration, configuration["x"] ** 2)
    assert again[:7] == tried
    assert len(again) == 12
    assert not any(new in tried for new in again[7:])


def test_a_search_learns_where_it_is_good_and_is_repeatable():
    space = {"search": {"x": {"low": -5.0, "high": 5.0}, "kind": {"choices": ["a", "b"]}}}
    sweep = Sweep.model_validate({**space, "trials": 60})

    def tried():
        search, found = Search(sweep), []
        while (configuration := search.ask()) is not None:
            value = (configuration["x"] - 2) ** 2 + (configuration["kind"] == "a")
            found.append(value)
            search.tell(configuration, None if len(found) == 3 else value)
        return found

    one, two = tried(), tried()
    assert one == two
    assert len(one) == 60
    assert statistics.median(one[40:]) < 0.5 * statistics.median(one[:20])


def test_entries_of_a_list_may_have_a_label_and_an_environment():
    entries = [{"label": "ours"}, {"label": "DDPM", "env": "ddpm", "training.steps": 7}]
    sweep = Sweep.model_validate({"list": entries})
    plan.check(sweep, {}, BASE, PIPELINES, ["ddpm"])
    assert sweep.shown == ("label",)
    ours, ddpm = (trial for c in sweep.configurations() for trial in plan.trials_of(sweep, c, {}))
    assert (ours.env, ddpm.env) == (None, "ddpm")
    assert ddpm.parameters == {"training.steps": 7, "seed": 0}
    assert ddpm.label == "DDPM seed=0"
    assert ours.key != plan.Trial({}, ours.parameters, ours.pipelines, "ddpm").key
    wrong = Sweep.model_validate({"list": [{"env": "ddmp"}]})
    with pytest.raises(PointillistError, match="Environment 'ddmp' is unknown"):
        plan.check(wrong, {}, BASE, PIPELINES, ["ddpm"])
    with pytest.raises(ValueError, match="either all entries"):
        Sweep.model_validate({"list": [{"label": "a"}, {"training.steps": 3}]})
