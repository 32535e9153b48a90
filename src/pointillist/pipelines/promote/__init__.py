"""From all trainings of a shape to the one that is served."""
