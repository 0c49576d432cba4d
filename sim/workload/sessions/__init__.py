"""Sessions: calls that follow one another, each starting a pause after the answer to the one before."""
