"""The engine against closed forms: theory beside simulation."""
