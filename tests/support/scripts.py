"""scripts/ as modules: the folder is no package."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from tests.support.cli_runner import ROOT


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
