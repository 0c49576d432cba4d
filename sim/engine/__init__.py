"""The cluster on one SimPy clock: clients, router, replicas, ranks, KV blocks, nodes."""
