"""Episodes as Arrow tables: one row per tick, with the arrays by the names of docs/data.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from townlet_core.exchange.episodes import Episode, Shared
from townlet_core.replay.format import ARRAYS

# The columns before the arrays.
PLACE = {
    "episode_index": pa.int64(),
    "tick": pa.int32(),  # of the episode, from 0
    "agent_id": pa.string(),
    "scenario": pa.string(),
    "town": pa.int64(),
    "episode": pa.int64(),
}
RECORDED = tuple(PLACE)[2:]  # of the description of an episode
# A row per episode.
EPISODE = {
    "episode_index": pa.int64(),
    "sample": pa.string(),
    "agent_id": pa.string(),
    "scenario": pa.string(),
    "seed": pa.int64(),
    "town": pa.int64(),
    "episode": pa.int64(),
    "first_frame": pa.int64(),
    "length": pa.int64(),
    "ending": pa.string(),
    "behaviour": pa.string(),
    "value_source": pa.string(),
    "reward_sum": pa.float64(),
    "last_value_pred": pa.float64(),
}
_TYPES = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_(), "uint8": pa.uint8()}
_ALWAYS = tuple(ARRAYS)[:9]  # the training arrays and both kinds of ends


def array_names(shared: Shared) -> list[str]:
    """Name the arrays of the export, in the order of docs/data.md."""
    return [name for name in ARRAYS if name in _ALWAYS or name in shared.optional]


def array_type(name: str, shared: Shared, narrow: bool) -> pa.DataType:
    """Return the type of an array's column: its rows are lists of fixed size, flat."""
    kind = _TYPES["uint8" if name == "map" and narrow else ARRAYS[name][0]]
    widths = {
        "map": math.prod(shared.map_shape),
        "features": len(shared.feature_names),
        "action_mask": shared.action_dim,
        "reward_terms": len(shared.reward_terms),
    }
    return pa.list_(kind, widths[name]) if name in widths else kind


def row_schema(shared: Shared, narrow: bool) -> pa.Schema:
    """Return the columns of the rows. narrow: the map as uint8 instead of float32."""
    arrays = {name: array_type(name, shared, narrow) for name in array_names(shared)}
    return pa.schema(list({**PLACE, **arrays}.items()))


def episode_rows(
    episode: Episode, schema: pa.Schema, names: Mapping[str, str] = MappingProxyType({}), first: int = 0
) -> pa.Table:
    """Return the rows of an episode with the columns of a schema.

    names: what a column holds, where its own name does not say that. first: number of the first row.
    """
    values = _values(episode, first)
    columns = [arrow_column(values[names.get(field.name, field.name)], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _values(episode: Episode, first: int) -> dict[str, Any]:
    """Return everything that a column can hold, T rows each; value_preds lack the value after the last."""
    ticks, about = episode.timesteps, episode.about
    return {
        "index": np.arange(first, first + ticks),
        "episode_index": np.full(ticks, episode.number),
        "tick": np.arange(ticks),
        **{name: pa.array([about[name]] * ticks, PLACE[name]) for name in RECORDED},
        **episode.sample.arrays(),
        "value_preds": episode.sample.value_preds[:-1],
        "terminations": episode.terminations,
        "truncations": episode.truncations,
    }


def arrow_column(values: Any, kind: pa.DataType) -> pa.Array:
    """Return an array, of a row per tick, as a column. Lists of fixed size may be flat where it has axes."""
    if isinstance(values, pa.Array):
        return values
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, arrow_column(values, kind.storage_type))
    if not pa.types.is_nested(kind):
        return pa.array(values.reshape(-1).astype(kind.to_pandas_dtype(), copy=False), kind)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(arrow_column(values, kind.value_type), type=kind)
    items = arrow_column(values.reshape(-1, *values.shape[2:]), kind.value_type)
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), items, type=kind)
