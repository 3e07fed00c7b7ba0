"""ONNX Runtime, loaded so that it writes nothing beside and asks nobody: the one place that imports it.

Since 1.32 its builds for Linux and macOS keep a device id and a database of events in the user's cache folder, and send
them; only this variable, set before the import, keeps them from that.  Those for Windows heed the call.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

ort.disable_telemetry_events()

__all__ = ["ort"]
