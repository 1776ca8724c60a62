"""Export recordings for Hugging Face datasets (docs/exchange.md, Hugging Face datasets)."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from townlet_core import io
from townlet_core.exchange.columns import PLACE, RECORDED, array_names, array_type, episode_rows
from townlet_core.exchange.episodes import Episode, Recordings, Shared
from townlet_core.exchange.export import write_export
from townlet_core.exchange.libraries import check_version, missing
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.sink import open_sink

_NEEDED_BY = "export for Hugging Face datasets"
try:
    import datasets

    check_version(datasets, _NEEDED_BY)
except ModuleNotFoundError as error:
    raise missing(error, _NEEDED_BY) from error

PART_ROWS = 1 << 18  # rows after which the next file begins
FPS = 1  # frames per second of `timestamp`: a frame is a tick, and a second its number

# Names of LeRobot for our arrays; the others keep their names.
LEROBOT = {
    "map": "observation.map",
    "features": "observation.state",
    "actions": "action",
    "rewards": "next.reward",
    "dones": "next.done",
    "terminations": "next.terminated",
    "truncations": "next.truncated",
    "tick": "frame_index",
}
ORIGIN = {column: name for name, column in LEROBOT.items()} | {"timestamp": "tick"}  # at FPS 1


def export_huggingface(
    path: Path | str,
    output: Path | str,
    force: bool = False,
    limits: ReadLimits = DEFAULT_LIMITS,
    after_sample: Callable[[], Any] = lambda: None,
) -> dict[str, Any]:
    """Write the recordings behind `path` for `datasets.load_from_disk`, and return what was written.

    Raises SampleError for samples that are damaged or do not fit together, InputError if `output` exists,
    MissingError or DiskError.
    """
    return write_export(
        Recordings(path, limits, after_sample), output, "huggingface", write_huggingface, force
    )


def write_huggingface(recordings: Recordings, folder: Path, narrow: bool) -> dict[str, Any]:
    """Write Arrow streams, the files that name them, and `meta/` into a folder."""
    features = features_of(recordings.shared, narrow)
    files: list[str] = []
    episodes = rows = 0
    with contextlib.ExitStack() as part, io.AtomicFile(folder / "meta" / "episodes.jsonl") as facts:
        writer: Any = None
        for episode in recordings.episodes(narrow):
            if rows >= len(files) * PART_ROWS:
                part.close()
                files.append(f"data-{len(files):05d}.arrow")
                file = part.enter_context(open_sink(folder / files[-1]))
                writer = part.enter_context(pa.ipc.new_stream(file, features.arrow_schema))
            writer.write_table(episode_rows(episode, features.arrow_schema, ORIGIN, rows))
            facts.write(orjson.dumps(_describe(episode), option=orjson.OPT_APPEND_NEWLINE))
            episodes, rows = episode.number + 1, rows + episode.timesteps
    _write_state(folder, features, files)
    io.write_json(folder / "meta" / "info.json", _info(recordings.shared, features, episodes, rows))
    return {"episodes": episodes, "transitions": rows}


def features_of(shared: Shared, narrow: bool) -> datasets.Features:
    """Return the columns as Hugging Face features; the map is an `Array3D`."""
    columns = {
        "index": pa.int64(),  # of the row, over all episodes
        "episode_index": pa.int64(),
        "frame_index": pa.int64(),  # of the episode, from 0
        "timestamp": pa.float32(),
        **{name: PLACE[name] for name in RECORDED},
        **{LEROBOT.get(name, name): array_type(name, shared, narrow) for name in array_names(shared)},
    }
    features = datasets.Features.from_arrow_schema(pa.schema(list(columns.items())))
    kind = "uint8" if narrow else "float32"
    features[LEROBOT["map"]] = datasets.Array3D(shape=shared.map_shape, dtype=kind)
    return features


def _write_state(folder: Path, features: datasets.Features, files: list[str]) -> None:
    """Write the two files that `datasets.load_from_disk` reads first."""
    digests = [str(io.file_digest(folder / name)["sha256"]) for name in files]
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in files],
        "_fingerprint": io.sha256("".join(digests).encode())[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": "train",
    }
    io.write_json(folder / "state.json", state)
    io.write_json(folder / "dataset_info.json", dataclasses.asdict(datasets.DatasetInfo(features=features)))


def _describe(episode: Episode) -> dict[str, Any]:
    """Return a line of `meta/episodes.jsonl`."""
    return {"episode_index": episode.number, "tasks": [episode.about["scenario"]], **episode.about}


def _info(shared: Shared, features: datasets.Features, episodes: int, rows: int) -> dict[str, Any]:
    """Return `meta/info.json`: totals, and each column with its type, shape and names."""
    shapes = {"map": shared.map_shape, "features": (len(shared.feature_names),)}
    shapes |= {"action_mask": (shared.action_dim,), "reward_terms": (len(shared.reward_terms),)}
    names = {"features": shared.feature_names, "reward_terms": shared.reward_terms}
    columns = {}
    for column, feature in features.items():
        name = ORIGIN.get(column, column)
        kind = getattr(feature, "dtype", None) or feature.feature.dtype
        columns[column] = {"dtype": kind, "shape": list(shapes.get(name, (1,))), "names": names.get(name)}
    return {
        "fps": FPS,
        "total_episodes": episodes,
        "total_frames": rows,
        "splits": {"train": f"0:{episodes}"},
        "features": columns,
        "map_channels": shared.map_channels,
        "action_lookup": shared.action_lookup,
    }
