"""A contact sheet of every shape that is known, and of what models have learnt of them."""
