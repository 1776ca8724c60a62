"""Packed samples: shards of many samples, each a pair of Arrow IPC files (docs/data.md, Packed data)."""
