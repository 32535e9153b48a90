"""What the summary says of errors."""

from pointillist import terminal


def test_the_error_of_a_divergence_holds_draws_and_steps(capsys):
    """3 and 4 in the fourth decimal place, of independent origin, are 5."""
    scores = {name: 1.0 for metric in terminal._METRICS for name in (metric, f"{metric}_floor")}
    bound = {"kl_bound_nats": 0.1, "kl_bound_nats_error": 0.0002}
    ode = {"kl_ode_nats": 0.2, "kl_ode_nats_error": 0.0003, "kl_ode_nats_step_error": 0.0004}
    terminal.print_metrics("dino", scores | bound | ode)
    rows = {row.split()[0]: row for row in capsys.readouterr().out.splitlines() if row.strip()}
    assert rows["kl_bound_nats"].endswith("± 0.0002 ")
    assert rows["kl_ode_nats"].endswith("± 0.0005 ")
