"""Ways to make a training step faster without changing what it computes: rows that are measured alone and together."""
