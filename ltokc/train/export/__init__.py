"""Weights to what the codec reads: packed tensors and ONNX graphs."""
