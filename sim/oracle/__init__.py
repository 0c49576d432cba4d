"""Closed forms that the simulation must agree with."""
