"""Histograms, gauges and timelines in bounded memory."""
