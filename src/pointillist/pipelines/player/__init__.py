"""A chain as an interactive film."""
