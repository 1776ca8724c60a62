"""The town: state arrays, one file per rule of docs/rules.md, the tick, the observations."""
