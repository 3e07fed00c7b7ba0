"""Patches: what of a picture goes into a picture of its own beside the tokens, and at which quality."""
