"""Tables of step times: read from others, written, and compared with the built-in law."""
