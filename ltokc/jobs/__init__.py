"""Files in, files out: which output belongs to which input, many at a time, what was done."""
