"""Units that never fire, found in a finished network and left out of its graphs (`ltokc models prune`)."""
