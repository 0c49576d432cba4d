"""Kernels timed on the GPUs of this machine, and what their times say of the catalog's coefficients."""
