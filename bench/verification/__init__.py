"""That tokens are exact, and that no input breaks a reader."""
