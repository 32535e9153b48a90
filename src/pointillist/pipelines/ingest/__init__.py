"""From a shape's name or file to validated points and their normaliser."""
