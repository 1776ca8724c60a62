"""The samples table of a shard: a row per sample, with its metadata and what opening a dataset needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from townlet_core import io
from townlet_core.errors import count
from townlet_core.replay.episodes import find_episodes, split_dones
from townlet_core.replay.metadata import canonical_metadata
from townlet_core.replay.npz import pack_npz
from townlet_core.replay.packed.layout import SHARED_KEYS
from townlet_core.replay.sample import ReplaySample
from townlet_core.replay.selection import fingerprint

UNFINISHED, TERMINATED, TRUNCATED = range(3)  # how an episode ends
STORED, DEFLATED = "stored", "deflated"  # containers of NPZ files that pack_npz writes

# What opening a dataset reads.
INDEX = {
    "name": pa.string(),  # of the NPZ file; null for the name that the capture's numbering gives
    "agent_id": pa.string(),
    "timesteps": pa.int32(),
    "first_row": pa.int64(),
    "last_value_pred": pa.float32(),  # the value after the last tick
    "episode_ticks": pa.list_(pa.int32()),
    "episode_ends": pa.list_(pa.uint8()),
    "action_ids": pa.int64(),  # the largest id, plus 1
    "fingerprint": pa.binary(32),
    "scenario": pa.string(),  # from the metadata, as are the next four; null if it has none
    "scenario_sha256": pa.string(),
    "warnings": pa.list_(pa.string()),  # about the sample, when it was packed
}
# What reading one sample needs besides. `metrics` is a struct, whose names are those of the samples.
DETAILS = {
    "town": pa.int64(),
    "episode": pa.int64(),
    "first_frame": pa.int64(),
    "metadata": pa.binary(),  # JSON of everything that no other column and no shared key holds
    "meta_json": pa.binary(),  # the JSON file, where these columns do not give it back to the byte
    "container": pa.string(),  # stored or deflated; null where `npz` holds the file
    "npz": pa.binary(),
}
_LENGTHS = {"timesteps": 0, "frame_count": 0, "value_pred_steps": 1}  # keys that say T, or T + 1
_PLACE = ("town", "episode", "first_frame")  # whole numbers of `capture` with columns of their own
_TEXTS = ("scenario", "scenario_sha256")


def describe(
    sample: ReplaySample,
    first_row: int,
    name: str | None,
    warnings: Sequence[str],
    original: tuple[bytes, bytes] | None,
) -> dict[str, Any]:
    """Return a sample's row of the table. original: its NPZ and JSON file, which the row must give back."""
    metadata = sample.metadata
    capture = metadata.get("capture")
    about = capture if isinstance(capture, dict) else {}
    terminations, _ = split_dones(sample)
    episodes = find_episodes(sample.dones)
    row = {
        "name": name,
        "agent_id": sample.agent_id,
        "timesteps": sample.timesteps,
        "first_row": first_row,
        "last_value_pred": sample.value_preds[-1],
        "episode_ticks": [ticks.stop - ticks.start for ticks in episodes],
        "episode_ends": [
            (TERMINATED if terminations[ticks.stop - 1] else TRUNCATED)
            if sample.dones[ticks.stop - 1]
            else UNFINISHED
            for ticks in episodes
        ],
        "action_ids": sample.action_ids,
        "fingerprint": fingerprint(sample),
        "warnings": list(warnings),
        **{key: about[key] if type(about.get(key)) is int else None for key in _PLACE},
        **{key: about[key] if isinstance(about.get(key), str) else None for key in _TEXTS},
        "metrics": {key: float(value) for key, value in (metadata.get("metrics") or {}).items()},
        "metadata": orjson.dumps(_rest(metadata)),
    }
    shared = {key: metadata[key] for key in SHARED_KEYS if key in metadata}
    if original is None:  # compare without writing JSON, which takes longer than all else
        are_floats = all(type(value) is float for value in (metadata.get("metrics") or {}).values())
        if not are_floats or compose(row, shared) != metadata:
            row["meta_json"] = io.dump_json(canonical_metadata(metadata))
        return row | {"container": STORED}
    data, text = original
    if io.dump_json(canonical_metadata(compose(row, shared))) != text:
        row["meta_json"] = text
    return row | _describe_container(sample, data)


def _rest(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata without what other columns hold."""
    apart = (*SHARED_KEYS, *_LENGTHS, "agent_id", "metrics")
    rest = {key: value for key, value in metadata.items() if key not in apart}
    if isinstance(rest.get("capture"), dict):
        rest["capture"] = {
            key: value
            for key, value in rest["capture"].items()
            if not (key in _PLACE and type(value) is int) and not (key in _TEXTS and isinstance(value, str))
        }
    return rest


def _describe_container(sample: ReplaySample, data: bytes) -> dict[str, Any]:
    for container, compress in ((STORED, False), (DEFLATED, True)):
        if pack_npz(sample.arrays(), compress) == data:
            return {"container": container}
    return {"npz": data}


def compose_metadata(row: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a sample from its row and the shared keys, in the order of the file."""
    if row.get("meta_json") is not None:
        parsed: dict[str, Any] = io.parse_json(row["meta_json"], "meta_json")
        return parsed
    return canonical_metadata(compose(row, shared))


def compose(row: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a sample from the columns of its row and the shared keys."""
    metadata = orjson.loads(row["metadata"])
    if isinstance(metadata.get("capture"), dict):
        own = {key: row[key] for key in (*_PLACE, *_TEXTS) if row[key] is not None}
        metadata["capture"] = {**metadata["capture"], **own}
    lengths = {key: row["timesteps"] + more for key, more in _LENGTHS.items()}
    metrics = {key: value for key, value in (row["metrics"] or {}).items() if value is not None}
    return {**shared, **lengths, "agent_id": row["agent_id"], "metrics": metrics, **metadata}


def sample_table(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Make the table of these rows."""
    names = dict.fromkeys(name for row in rows for name in row["metrics"])
    fields = {**INDEX, "metrics": pa.struct([(name, pa.float64()) for name in names]), **DETAILS}
    columns = [pa.array([row.get(name) for row in rows], kind) for name, kind in fields.items()]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(list(fields.items())))


def check_columns(schema: pa.Schema) -> str:
    """Return what is wrong with the columns of a samples table; empty if nothing is."""
    for name, kind in {**INDEX, **DETAILS}.items():
        if schema.names.count(name) != 1:
            return f"has {count(schema.names.count(name), 'column')} {name}, expected one"
        if schema.field(name).type != kind:
            return f"has {schema.field(name).type} in column {name}, expected {kind}"
    if schema.names.count("metrics") != 1 or not pa.types.is_struct(schema.field("metrics").type):
        return "has no struct in column metrics"
    metrics = list(schema.field("metrics").type)
    if any(field.type != pa.float64() for field in metrics):
        return "has metrics that are not float64"
    names = [field.name for field in metrics]
    return "" if len(set(names)) == len(names) else "has two metrics of one name"


def first_rows(timesteps: np.ndarray) -> np.ndarray:
    """Return the number of each sample's first row, (N,) int64."""
    return np.cumsum(timesteps, dtype=np.int64) - timesteps


def texts_of(column: pa.Array) -> list[Any]:
    """Return the texts of a column, mostly equal ones, without making each anew."""
    encoded = column.dictionary_encode()
    texts = [*encoded.dictionary.to_pylist(), None]
    return [texts[i] for i in encoded.indices.fill_null(-1).to_pylist()]


def is_file_name(name: str) -> bool:
    """Whether a name is one of an NPZ file in a folder; unpacking writes it there."""
    return (
        name.isprintable() and len(name.encode()) <= 255 and name.endswith(".npz") and Path(name).name == name
    )
