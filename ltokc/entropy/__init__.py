"""Tokens to streams and back, in integers only."""
