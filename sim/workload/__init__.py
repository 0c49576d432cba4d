"""Arrivals, lengths and traces: what the clients send."""
