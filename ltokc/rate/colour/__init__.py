"""True colours: digits chosen for the colour of large areas, and a colour grid where that is not enough."""
