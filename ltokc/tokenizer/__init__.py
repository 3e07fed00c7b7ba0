"""Pixels to tokens and back: the networks, whole or in windows."""
