"""From samples to metrics, each beside its floor."""
