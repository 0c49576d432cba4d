"""Intervals that cover: pooled quantiles, replications, warm-up, stopping."""
