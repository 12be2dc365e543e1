"""dsconv beside other engines on the same networks and weights: `python -m benchmarks.peers`."""
