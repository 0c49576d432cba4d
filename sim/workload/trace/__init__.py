"""Request traces: reading, checking, scaling, describing, writing."""
