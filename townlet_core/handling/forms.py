"""How samples are stored: NPZ files stored or deflated, shards with zstd, lz4 or none."""

from __future__ import annotations

from townlet_core import io
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.npz import DEFLATE, list_members
from townlet_core.replay.packed.message import compression_of
from townlet_core.replay.packed.shard import Shard
from townlet_core.replay.packed.writer import COMPRESSIONS

FORMATS = {"npz": ("stored", "deflated"), "arrow": COMPRESSIONS}  # and their compressions


def npz_compression(data: bytes, file: str, limits: ReadLimits = DEFAULT_LIMITS) -> str:
    """Return `deflated` if an array of an NPZ file is compressed, else `stored`. Raises SampleError."""
    members = list_members(data, file, limits).values()
    return "deflated" if any(member.method == DEFLATE for member in members) else "stored"


def shard_compression(shard: Shard) -> str:
    """Return the compression of the first record batch. Raises SampleError, MissingError or DiskError."""
    first = shard.batches[0]
    data = io.read_range(shard.ref.path, first.offset, first.bytes)
    return compression_of(data, f"{shard.ref.path}: record batch 0")
