"""What PyInstaller has to know of ltokc; it finds this folder by the entry point `pyinstaller40`.

Commands and rooms are imported by name, and models lie beside the code: neither is seen by an analysis of imports.
"""

from __future__ import annotations

import os


def get_hook_dirs() -> list[str]:
    """The folders of hooks, for PyInstaller."""
    return [os.path.dirname(__file__)]
