"""Tests: each docstring is a claim in plain words."""
