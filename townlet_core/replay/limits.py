"""Limits on declared sizes, checked before memory is allocated (docs/data.md, Limits)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadLimits:
    """Limits for reading files. Every reader of this room takes them as `limits`."""

    max_sample_bytes: int = 1 << 30  # an NPZ file on disk
    max_array_bytes: int = 1 << 30  # declared total size of a sample's arrays
    max_expansion: int = 200  # largest expansion factor of a compressed sample ...
    small_array_bytes: int = 64 << 20  # ... whose arrays are together larger than this
    max_members: int = 64  # files inside one NPZ
    max_features: int = 4096  # feature columns and map channels
    max_actions: int = 1024  # size of an action vocabulary
    max_metadata_bytes: int = 4 << 20  # the JSON beside a sample
    max_manifest_bytes: int = 64 << 20  # a manifest or metrics file
    max_samples: int = 100_000  # entries of one manifest
    max_line_bytes: int = 64 << 10  # one event
    max_memory_bytes: int = 8 << 30  # a dataset without streaming
    follow_links: bool = False  # follow links to the outside of their folder


DEFAULT_LIMITS = ReadLimits()
REPLAY_TRANSITIONS = 32768  # recorded ticks per training cycle, at most, by default
