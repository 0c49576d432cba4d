"""How long requests are: laws of prompt and output lengths."""
