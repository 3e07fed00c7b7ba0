"""The search for digits that cost less and show less error."""
