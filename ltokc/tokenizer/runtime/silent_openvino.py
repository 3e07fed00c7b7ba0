"""OpenVINO's runtime without the rest of its package: the one place that imports it.

The package's own first module loads its converters of models, and with them a sender of telemetry; that takes a quarter
of a second, and is nothing that pictures need.  A program that imports `openvino` itself gets it as ever.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

NAME = "openvino"


def _loaded() -> Any:
    if NAME in sys.modules:
        return importlib.import_module(f"{NAME}._pyopenvino")
    spec = find_spec(NAME)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(NAME)
    package = ModuleType(NAME)
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[NAME] = package
    try:
        if os.name == "nt":
            importlib.import_module(f"{NAME}.package_utils")._add_openvino_libs_to_search_path()
        return importlib.import_module(f"{NAME}._pyopenvino")
    finally:
        del sys.modules[NAME]


openvino = _loaded()
