from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from pointillist.rendering import report

A = {"sw2": 0.04, "sw2_floor": 0.02, "coverage": 0.8, "coverage_floor": 1.0, "mmd": 1e-4}
B = {"sw2": 0.03, "sw2_floor": 0.02, "coverage": 0.6, "coverage_floor": 1.0, "mmd": -1e-4}
NATS = {"kl_bound_nats": 0.02, "kl_bound_nats_error": 0.001}


def better(a: dict[str, float], b: dict[str, float]) -> dict[str, str]:
    return {row["name"]: row["better"] for row in report.compared(a, b)}


def test_the_better_is_nearer_to_its_floor() -> None:
    assert better(A, B) == {"sw2": "B", "coverage": "A"}
    assert better(A, A) == {"sw2": "", "coverage": ""}


def test_a_floor_below_zero_decides_nothing() -> None:
    floors = {"mmd_floor": -1e-5}
    assert better(A | floors, B | floors)["mmd"] == ""


@pytest.mark.parametrize(("nats", "said"), [(0.021, ""), (0.03, "A"), (0.01, "B")])
def test_nats_differ_if_by_more_than_their_errors(nats: float, said: str) -> None:
    assert better(NATS, NATS | {"kl_bound_nats": nats})["kl_bound_nats"] == said


def test_the_floors_of_both_stand_beside_them() -> None:
    (row, _) = report.compared(A, B | {"sw2_floor": 0.01})
    assert (row["a"], row["b"], row["difference"]) == ("0.04", "0.03", "-0.01")
    assert (row["floor_a"], row["floor_b"]) == ("0.02", "0.01")


def test_pictures_are_in_the_page() -> None:
    picture = report.Picture(Figure(figsize=(1, 1)), "nothing")
    assert picture.source.startswith("data:image/png;base64,")
