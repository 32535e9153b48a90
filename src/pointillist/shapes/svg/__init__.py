"""SVG files: their style sheets, the lines of their elements, and what of these is visible."""
