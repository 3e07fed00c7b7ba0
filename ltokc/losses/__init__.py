"""Distances between pictures in torch, for training and for the search of digits."""
