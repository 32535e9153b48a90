"""What is measured, how, and the last figures (results.md, trials.md)."""
