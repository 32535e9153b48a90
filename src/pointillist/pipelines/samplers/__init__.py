"""The table of samplers: quality against number of function evaluations."""
