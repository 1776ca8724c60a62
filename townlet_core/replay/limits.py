"""How much of a file we are willing to believe before we take memory for it (docs/data.md, Limits)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadLimits:
    """Bounds on what is read from outside. Every reader of this room takes one as `limits`."""

    max_sample_bytes: int = 1 << 30  # an NPZ file on disk
    max_array_bytes: int = 1 << 30  # what the arrays of one sample say they expand to, together
    max_expansion: int = 200  # how many times a compressed array may grow ...
    small_array_bytes: int = 64 << 20  # ... once it is larger than this
    max_members: int = 64  # files inside one NPZ
    max_features: int = 4096  # feature columns and map channels
    max_actions: int = 1024  # size of an action vocabulary
    max_metadata_bytes: int = 4 << 20  # the JSON beside a sample
    max_manifest_bytes: int = 64 << 20  # a manifest or metrics file
    max_samples: int = 100_000  # entries of one manifest
    max_line_bytes: int = 64 << 10  # one event
    max_memory_bytes: int = 8 << 30  # a dataset that is not streaming
    follow_links: bool = False  # read also what links lead to outside of the folder that holds them


DEFAULT_LIMITS = ReadLimits()
REPLAY_TRANSITIONS = (
    32768  # most recorded ticks that a training cycle learns from, unless it is told otherwise
)
