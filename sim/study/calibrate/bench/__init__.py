"""Results of load generators, each format in a file of its own."""
