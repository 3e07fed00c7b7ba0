"""Rate control: from a quality, a size or a number to the tokens that are sent."""
