"""Who is promoted: what is served is ranked, sampler included, not the network's promise alone."""

import logging
from types import SimpleNamespace

import pandas as pd
import pytest

from pointillist.diffusion.config import Data, Sampling
from pointillist.parameters import Promotion
from pointillist.pipelines.promote.nodes import choose_champion

FLOOR = 0.02


def evaluation(version, bound, sw2, sampler="heun"):
    return {
        "run_id": f"run of {version}",
        "shape": "cat",
        "version": version,
        "sampling": {"sampler": sampler, "steps": "20"},
        "kl_bound_nats": bound,
        "sw2": sw2,
        "sw2_floor": FLOOR,
    }


def promoted(*rows, **promotion):
    model = SimpleNamespace(parameters={"data": {}}, shape_digest="d")
    trained = {f"cat/{row['version']}": SimpleNamespace(read=lambda: model) for row in rows}
    chosen = choose_champion(
        pd.DataFrame(rows), trained, "cat", Sampling(), Promotion(**promotion), Data()
    )
    return chosen.run_id.removeprefix("run of "), chosen.sampling["sampler"]


@pytest.mark.parametrize("rows", [lambda a, b: (a, b), lambda a, b: (b, a)])
@pytest.mark.parametrize(
    ("loser", "winner"),
    [
        # A good bound does not make up for points that stray.
        (evaluation("a", 0.004, 450 * FLOOR), evaluation("b", 0.03, 1.1 * FLOOR)),
        # Of what a distance can't tell apart, the better network.
        (evaluation("a", 0.02, 0.95 * FLOOR), evaluation("b", 0.005, 1.05 * FLOOR)),
        # The same model, served by another sampler.
        (evaluation("b", 0.005, 9 * FLOOR, "ddpm"), evaluation("b", 0.005, FLOOR, "heun")),
    ],
)
def test_what_is_served_is_ranked(rows, loser, winner, caplog):
    assert promoted(*rows(loser, winner)) == ("b", "heun")
    assert "See docs/metrics.md" not in caplog.text


def test_a_bound_that_the_samples_contradict_is_a_warning(caplog):
    stray, sound = evaluation("a", 0.004, 450 * FLOOR), evaluation("b", 0.03, FLOOR)
    with caplog.at_level(logging.WARNING):
        assert promoted(stray, sound, metric="kl_bound_nats") == ("a", "heun")
    assert "sw2 450.0 times its floor" in caplog.text
    assert "See docs/metrics.md" in caplog.text
