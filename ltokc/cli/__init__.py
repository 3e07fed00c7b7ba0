"""The commands of `ltokc`: parse, call, tell.  `program` has the group, each command a module of its own."""

from ltokc.cli.program import COMMANDS, cli, main

__all__ = ["COMMANDS", "cli", "main"]
