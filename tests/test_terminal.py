"""What the summary says of metrics."""

from pointillist import terminal


def test_every_metric_stands_beside_its_floor_with_its_direction(capsys):
    metrics = {"sw2": 0.03, "sw2_floor": 0.02, "coverage": 0.5, "coverage_floor": 1.0}
    metrics |= {"mmd": -8e-5, "mmd_floor": 0.0, "mmd_floor_error": 4e-5}
    metrics |= {"kl_bound_nats": 0.1, "kl_bound_nats_error": 0.0002}
    terminal.print_metrics("dino", metrics)
    rows = [row.split() for row in capsys.readouterr().out.splitlines() if row.strip()][2:]
    assert rows == [
        ["sw2", "lower", "0.0300", "0.0200", "1.50", "×"],
        ["coverage", "higher", "0.5000", "1.0000", "2.00", "×"],
        ["mmd", "lower", "-8.0e-05", "0", "-2.0", "s.e."],
        ["kl_bound_nats", "lower", "0.1000", "0", "±", "0.0002"],
    ]


def test_surprises_are_printed_with_their_errors_and_units(capsys):
    metrics = {"nll_fresh": 0.31, "nll_fresh_error": 0.007, "nll_fresh_floor": 0.3}
    metrics |= {"nll_fresh_floor_error": 0.005, "entropy": 0.3, "entropy_error": 0.005}
    terminal.print_metrics("moons", metrics)
    *_, row, note = filter(None, capsys.readouterr().out.splitlines())
    assert row.split() == ["nll_fresh", "lower", "0.3100", "0.3000", "+2.0", "s.e."]
    assert note.split(": ") == [
        " In nats and the shape's original units",
        "nll_fresh 0.3100 ± 0.0070, entropy 0.3000 ± 0.0050",
    ]
