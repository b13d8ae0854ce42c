"""Servers of the outside world, real ones on this machine."""
