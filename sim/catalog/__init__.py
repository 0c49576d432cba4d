"""Dated facts: models, GPUs, kernels, prices, reliability, workloads, each with source and status."""
