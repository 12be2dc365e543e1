"""Compare dsconv with other engines on the same networks and weights: `python -m benchmarks.peers`."""
