"""Compare dsconv with other engines on the same networks: `python -m benchmarks.peers`."""
