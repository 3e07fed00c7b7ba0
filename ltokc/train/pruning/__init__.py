"""Units that never fire, found in a finished network and left out of the graphs that encode (`ltokc models prune`)."""
