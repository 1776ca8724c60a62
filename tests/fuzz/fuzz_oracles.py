"""What numpy, json and pyarrow see in a file, and the rules of docs/data.md, written again and slowly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from townlet_core.replay.format import ARRAYS
from townlet_core.replay.sample import ReplaySample

KEY = b"townlet"


def read_json(data: bytes) -> Any:
    """Parse JSON with the standard library; whole numbers beyond 64 bits are floats, as elsewhere."""
    return json.loads(data.decode("utf-8-sig"), parse_int=_whole, parse_constant=_refuse)


def _whole(text: str) -> int | float:
    number = int(text) if len(text) < 400 else float(text)
    return number if -(2**63) <= number < 2**64 else float(text)


def _refuse(text: str) -> None:
    raise AssertionError(f"{text} was accepted, which is not JSON")


def same(ours: Any, theirs: Any) -> bool:
    """Whether two JSON values are equal, in type and in every bit."""
    return repr(ours) == repr(theirs) or (type(ours) is type(theirs) and ours == theirs)


def compare_arrays(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Raise AssertionError unless the arrays have the same names, types, shapes and bytes."""
    assert sorted(ours) == sorted(theirs), (
        f"arrays {sorted(ours)}, an independent reader sees {sorted(theirs)}"
    )
    for name, array in ours.items():
        other = theirs[name]
        assert (array.dtype, array.shape) == (other.dtype, other.shape), (
            f"{name}: {other.dtype} {other.shape}"
        )
        assert array.tobytes() == other.tobytes(), f"{name}: has other values than an independent reader sees"


def npz_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a sample with numpy."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if name in ARRAYS}


def shard_arrays(rows: Path, table: Path) -> list[dict[str, np.ndarray]]:
    """Read the samples of a shard with pyarrow: the record batches that the table lists, and no more."""
    data = rows.read_bytes()
    described = pa.ipc.open_stream(pa.py_buffer(table.read_bytes()[8:])).read_all()
    batches = json.loads(described.schema.metadata[KEY])["batches"]
    messages = (data[offset : offset + size] for offset, size, *_ in batches)
    stream = data[8 : batches[0][0]] + b"".join(messages)
    columns = pa.ipc.open_stream(pa.py_buffer(stream)).read_all().combine_chunks()
    widths = json.loads(described.schema.metadata[KEY])["arrays"]
    start, samples = 0, []
    for ticks, last in zip(
        *(described.column(name).to_pylist() for name in ("timesteps", "last_value_pred")), strict=True
    ):
        part = columns.slice(start, ticks)
        arrays = {name: _array(part.column(name), ARRAYS[name][0], width) for name, width in widths.items()}
        arrays["value_preds"] = np.append(arrays["value_preds"], np.float32(last))
        samples.append(arrays)
        start += ticks
    return samples


def _array(column: pa.ChunkedArray, kind: str, width: list[int]) -> np.ndarray:
    flat = column.combine_chunks()
    flat = flat.flatten() if width else flat
    assert flat.null_count == 0, "has missing values"
    return flat.to_numpy(zero_copy_only=False).astype(kind).reshape(len(column), *width)


def check_rules(sample: ReplaySample) -> None:
    """Raise AssertionError if an array breaks a rule of docs/data.md."""
    arrays, ticks = sample.arrays(), len(sample.actions)
    assert ticks >= 1
    for name, array in arrays.items():
        kind, axes = ARRAYS[name]
        assert (array.dtype, array.ndim) == (np.dtype(kind), len(axes)), name
        assert len(array) == ticks + (name == "value_preds"), name
        assert np.isfinite(array).all() if kind == "float32" else True, f"{name} is not finite"
        assert set(array.view(np.uint8).reshape(-1).tolist()) <= {0, 1} if kind == "bool" else True, name
    size = sample.metadata.get("action_dim")
    mask = arrays.get("action_mask")
    for tick in range(ticks):
        action, done = int(sample.actions[tick]), bool(sample.dones[tick])
        assert 0 <= action < (1024 if size is None else size), f"action {action}"
        assert mask is None or mask[tick, action], f"tick {tick}: the mask forbids what was done"
        assert sample.old_log_probs[tick] <= 1e-3, f"tick {tick}: a probability above 1"
        ends = [bool(arrays[name][tick]) for name in ("terminations", "truncations") if name in arrays]
        assert sum(ends) <= done, f"tick {tick}: ends, and is not done"
        assert len(ends) < 2 or sum(ends) == done, f"tick {tick}: done, and neither terminated nor truncated"
    names = sample.metadata["feature_names"]
    assert len(set(names)) == len(names) == sample.features.shape[1]
