"""Rate and distortion beside other codecs."""
