"""One page about the newest run of a shape."""
