"""Training pictures, and crops of them."""
