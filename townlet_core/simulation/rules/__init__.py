"""One file per heading of docs/rules.md: what a tick does, in the order of tick.py."""
