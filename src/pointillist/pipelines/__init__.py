"""The five stages, each with its wiring (`pipeline.py`) and its thin nodes (`nodes.py`)."""
