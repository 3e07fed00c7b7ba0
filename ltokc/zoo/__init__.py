"""Which models there are, and one that is open."""
