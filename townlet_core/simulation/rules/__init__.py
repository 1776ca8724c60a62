"""One file per heading of docs/rules.md; tick.py has their order."""
