"""How fast we are, beside a peer and beside the limit, all in one run (docs/benchmarks.md)."""
