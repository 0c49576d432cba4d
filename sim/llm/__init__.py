"""Model arithmetic: parameters, weight bytes, KV bytes, FLOPs, and whether a layout fits."""
