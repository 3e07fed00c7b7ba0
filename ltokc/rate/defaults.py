"""What is asked for where nothing is said: numbers that help texts name before anything heavier is loaded."""

DEFAULT_QUALITY = 0.6  # from 0 to 1
DEFAULT_EFFORT = 1
HIGHEST_EFFORT = 4
PATCH_MODES = ("auto", "off")  # of patches: where they pay, or nowhere
