from __future__ import annotations

from matplotlib.figure import Figure

from pointillist.rendering import report

A = {"sw2": 0.04, "sw2_floor": 0.02, "sw2_floor_error": 0.001, "kl_ode_nats": 1.0}
B = {"sw2": 0.03, "sw2_floor": 0.02, "sw2_floor_error": 0.001}


def test_a_row_holds_each_run_and_marks_the_best() -> None:
    (row,) = report.compared([A, B, A])
    assert (row["words"], row["better"]) == ("sliced Wasserstein", "lower")
    assert [cell["value"] for cell in row["cells"]] == ["0.04", "0.03", "0.04"]
    assert [cell["beside"] for cell in row["cells"]] == ["2.00 ×", "1.50 ×", "2.00 ×"]
    assert [cell["best"] for cell in row["cells"]] == [False, True, False]


def test_a_bar_shows_a_multiple_and_nothing_else_has_one() -> None:
    metrics = A | {"mmd": 1e-4, "mmd_floor": -1e-5, "mmd_floor_error": 2e-5}
    sw2, mmd = report.metric_rows(metrics)
    assert sw2["bar"] == {"width": "66.7", "mark": "33.3"}
    assert mmd["bar"] is None
    assert mmd["beside"] == "+5.5 s.e."


def test_pictures_are_in_the_page() -> None:
    picture = report.Picture(Figure(figsize=(1, 1)), "nothing")
    assert picture.source.startswith("data:image/png;base64,")
