"""Replications, comparisons, run store, verification."""
