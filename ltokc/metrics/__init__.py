"""How alike two pictures are, in numpy."""
