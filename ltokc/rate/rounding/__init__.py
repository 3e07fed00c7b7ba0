"""Digits rounded together: one gradient of the loss, and a fixed model of how roundings act on each other."""
