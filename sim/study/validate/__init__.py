"""The simulator beside published measurements: points in, prediction and error out."""
