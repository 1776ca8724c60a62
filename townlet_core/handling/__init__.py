"""What people do with recorded data: list, select, cut, join, compare, prune (docs/handling.md)."""
