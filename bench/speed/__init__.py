"""Times and memory."""
