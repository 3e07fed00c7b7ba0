"""The commands of `ltokc`, one module for each kind of work; `ltokc.cli` loads them by name."""
