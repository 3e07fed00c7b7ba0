"""What a caller may choose about the rate: quality and effort.

Loads no numpy, so that the help of the command line starts at once.
"""

DEFAULT_QUALITY = 0.6  # from 0 to 1
DEFAULT_EFFORT = 1
HIGHEST_EFFORT = 4
