"""What the network knows: its score, its error, its density, the ways of its points."""
