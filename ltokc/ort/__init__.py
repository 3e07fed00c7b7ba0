"""ONNX Runtime: how it is loaded, its sessions, and graphs for it, with no other library."""
