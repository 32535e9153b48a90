"""From noise to points: the reverse chain."""
