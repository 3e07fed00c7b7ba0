"""Pillow in and out: upright 8-bit sRGB, alpha, metadata."""
