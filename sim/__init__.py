"""Discrete-event capacity simulator for very large mixture-of-experts models."""
