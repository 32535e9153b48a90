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
