"""Fits the rounding kernel of a finished model."""
