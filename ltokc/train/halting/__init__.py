"""The halting head: measured pictures, and the fit to them."""
