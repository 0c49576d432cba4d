"""A year of faults at the level of requests: responses to single faults, weighted by how often each comes."""
