"""From a scenario to one run: memory plan, step law, cluster, outcome."""
