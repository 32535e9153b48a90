"""The newest chain as an interactive film."""
