"""Writes desktop/completions/ for bash, zsh and fish: `python scripts/write_completion.py`.

They are click's own, which ask the program itself what may follow, so they do not change with the commands.
"""

from __future__ import annotations

from pathlib import Path

from click.shell_completion import ShellComplete, get_completion_class

FOLDER = Path(__file__).resolve().parent.parent / "desktop" / "completions"
FILES = {"bash": "ltokc.bash", "zsh": "_ltokc", "fish": "ltokc.fish"}


def render(shell: str) -> str:
    """The script of a shell."""
    from ltokc.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None
    # not source() itself, which starts bash to look at its version
    return ShellComplete.source(kind(cli, {}, "ltokc", "_LTOKC_COMPLETE")).strip() + "\n"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for shell, name in FILES.items():
        (FOLDER / name).write_text(render(shell), encoding="utf-8")


if __name__ == "__main__":
    main()
