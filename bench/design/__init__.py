"""Experiments that decided the design."""
