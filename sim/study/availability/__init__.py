"""Years of faults of a fleet, without requests: how many replicas there are, what takes them, what spares do."""
