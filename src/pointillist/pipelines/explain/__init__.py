"""What the network knows: its score, its error, its density, the trajectories of its points."""
