"""Read a shard: its samples table when it opens, its record batches when they are needed."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from townlet_core import io
from townlet_core.errors import SampleError, count
from townlet_core.replay.batch import Part
from townlet_core.replay.checks import check_sample, check_values
from townlet_core.replay.compatibility import SharedFacts
from townlet_core.replay.format import ARRAYS, TRAINING_ARRAYS, Finding, problems
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.metadata import check_metadata, reward_terms_of
from townlet_core.replay.npz import RESTORE, pack_npz
from townlet_core.replay.packed.batches import Batch, parse_batches
from townlet_core.replay.packed.layout import KEY, Layout, Rows, is_whole, parse_layout
from townlet_core.replay.packed.message import MAGIC, decode, read_schema
from townlet_core.replay.packed.reference import ShardRef
from townlet_core.replay.packed.table import (
    DEFLATED,
    DETAILS,
    INDEX,
    TERMINATED,
    UNFINISHED,
    check_columns,
    compose_metadata,
    first_rows,
    is_file_name,
    texts_of,
)
from townlet_core.replay.sample import ReplaySample, raise_first
from townlet_core.replay.selection import fingerprint
from townlet_core.vocab import NAME_PATTERN

_NAME = re.compile(r"(?P<prefix>.+)_[0-9]{5,}\.arrow")
_TOGETHER = 64  # rows of the samples table that are read at once
_CHANGED = "its sha256 is not the one in the samples table; the file has changed"


class Shard:
    """The samples of one shard. Opening it reads the samples table only.

    layout: what the samples have in common. agents, timesteps, …: columns of the table, one entry per sample.
    batches: the record batches, of whole samples. Raises SampleError for anything that is not a sound shard.
    """

    def __init__(self, ref: ShardRef, limits: ReadLimits = DEFAULT_LIMITS) -> None:
        self.ref, self.limits = ref, limits
        self._checked: set[int] = set()  # record batches whose values have been checked
        data = self._read_table()
        self.ref = ref if ref.samples_sha256 else ref._replace(samples_sha256=io.sha256(data))
        schema = read_schema(data, str(ref.samples))
        if wrong := check_columns(schema):
            raise self._damaged(wrong)
        about = self._about(schema)
        self.layout: Layout = parse_layout(about, str(ref.samples))
        index = self._decode(data, schema, [schema.get_field_index(name) for name in INDEX])
        self.count = index.num_rows
        self.agents = texts_of(index.column("agent_id"))
        self.given_names = texts_of(index.column("name"))
        self.timesteps = index.column("timesteps").to_numpy(zero_copy_only=False)
        self.first_rows = index.column("first_row").to_numpy(zero_copy_only=False)
        self.last_values = index.column("last_value_pred").to_numpy(zero_copy_only=False)
        self.action_ids: list[int] = index.column("action_ids").to_pylist()
        self.fingerprints: list[bytes] = index.column("fingerprint").to_pylist()
        weak = index.column("warnings")
        self.warnings: list[list[str]] = weak.to_pylist() if len(weak.values) else [[]] * self.count
        self._ends = (index.column("episode_ticks"), index.column("episode_ends"))
        self.scenarios = self._scenarios(index)
        self._check_index(index)
        stops = (self.first_rows + self.timesteps).tolist()
        try:
            self.batches = parse_batches(about.get("batches"), stops, self.layout.sample_row_bytes, limits)
        except ValueError as error:
            raise self._damaged(str(error)) from error
        self._header = about.get("header_sha256")
        self._check_shared()

    @property
    def transitions(self) -> int:
        """Number of rows."""
        return int(self.timesteps.sum())

    @property
    def kept(self) -> Sequence[int]:
        """The numbers of the samples that the manifest keeps."""
        return range(self.count) if self.ref.only is None else self.ref.only

    def name(self, number: int) -> str:
        """Return the name of a sample's NPZ file: its own, or the one that the capture's numbering gives."""
        if given := self.given_names[number]:
            return given
        return f"{self._prefix}_{self.agents[number]}_{self.ref.first_sample + number:03d}.npz"

    @cached_property
    def _prefix(self) -> str:
        match = _NAME.fullmatch(self.ref.path.name)
        return match["prefix"] if match else self.ref.path.stem

    def label(self, number: int) -> str:
        """Return the place of a sample as text."""
        return f"{self.ref.path}/{self.name(number)}"

    def place(self, number: int) -> Path:
        """Return the path of a sample for messages: a name below the shard, as if it were a folder."""
        return self.ref.path / self.name(number)

    def episodes(self, bootstrap_truncations: bool = True) -> Iterator[list[tuple[slice, bool]]]:
        """Iterate over the samples: the ticks of each episode, and whether one has a training target.

        As in episodes.learned_ticks: at an end without bootstrap, and at any tick before the last one.
        """
        ends = range(TERMINATED, TERMINATED + 1 + (not bootstrap_truncations))
        for ticks, kinds in zip(*(column.to_pylist() for column in self._ends), strict=True):
            stops = accumulate(ticks)
            yield [
                (slice(stop - n, stop), n > 1 or kind in ends)
                for n, stop, kind in zip(ticks, stops, kinds, strict=True)
            ]

    def facts(self) -> Iterator[tuple[int, SharedFacts]]:
        """Iterate over what a dataset compares: the first sample, or each one of the older generation."""
        shared = self.layout.shared
        for number in self.kept if self.layout.is_older else self.kept[:1]:
            ids = self.action_ids[number]
            yield (
                number,
                SharedFacts(
                    map_shape=self.layout.widths["map"],
                    feature_names=tuple(shared["feature_names"]),
                    reward_terms=reward_terms_of(shared) if "reward_terms" in self.layout.widths else (),
                    action_dim=shared.get("action_dim") or ids,
                    action_ids=ids,
                    is_older=self.layout.is_older,
                    metadata=self.metadata(number) if self.layout.is_older else shared,
                ),
            )

    def batch_of(self, number: int) -> int:
        """Return the number of the record batch that holds a sample."""
        return int(self._batch_numbers[number])

    @cached_property
    def _batch_numbers(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.batches)), [b.last_sample - b.first_sample for b in self.batches])

    def read_rows(self, number: int) -> Rows:
        """Read a record batch and verify its digest; check its values when it is read for the first time.

        Raises SampleError, MissingError or DiskError.
        """
        batch, place = self.batches[number], f"{self.ref.path}: record batch {number}"
        data = io.read_range(self.ref.path, batch.offset, batch.bytes)
        if io.sha256(data) != batch.sha256:
            raise SampleError(f"{place}: {_CHANGED}", RESTORE)
        decoded = decode(data, self._schema, self.limits, place)
        if not is_whole(self.layout, decoded, batch.rows):
            raise SampleError(f"{place} has missing values or rows", RESTORE)
        rows = Rows(self.layout, decoded)
        if number not in self._checked:
            self._check_rows(rows, batch)
            self._checked.add(number)
        return rows

    def sample(self, number: int) -> ReplaySample:
        """Return a sample. Raises SampleError, MissingError or DiskError."""
        part = self.part(number, _recent_rows(self, self.batch_of(number)))
        arrays = {name: array[part.ticks] for name, array in part.arrays.items()}
        arrays["map"] = arrays["map"].astype(np.float32, copy=False)
        arrays["value_preds"] = np.append(arrays["value_preds"], self.last_values[number])
        training = {name: arrays.pop(name) for name in TRAINING_ARRAYS}
        return ReplaySample(**training, optional=arrays, metadata=self.metadata(number))

    def part(self, number: int, rows: Rows) -> Part:
        """Return where a sample lies in the rows of its record batch."""
        start = int(self.first_rows[number]) - self.batches[self.batch_of(number)].first_row
        ticks = slice(start, start + int(self.timesteps[number]))
        return Part(rows.arrays, ticks, self.last_values[number])

    def examine(self, number: int) -> tuple[ReplaySample | None, list[Finding]]:
        """Read a sample, and collect every finding; the sample is None if there is a problem."""
        place = self.label(number)
        sample = self.sample(number)
        findings = check_sample(sample.arrays(), sample.metadata, place, place, self.limits)
        if not problems(findings) and (
            sample.agent_id != self.agents[number] or fingerprint(sample) != self.fingerprints[number]
        ):
            message = "is not the sample that the samples table describes"
            findings.append(Finding("problem", place, "", message, RESTORE))
        return (None if problems(findings) else sample), findings

    def metadata(self, number: int) -> dict[str, Any]:
        """Return the metadata of a sample. Raises SampleError, MissingError or DiskError."""
        row = _row(self, number)
        row |= {"timesteps": int(self.timesteps[number]), "agent_id": self.agents[number]}
        try:
            metadata = compose_metadata(row, self.layout.shared)
            own = {key: metadata.get(key) for key in self.layout.shared}
        except (orjson.JSONDecodeError, TypeError, AttributeError) as error:
            raise SampleError(f"{self.label(number)}: its metadata is damaged", RESTORE) from error
        if _sorted_json(own) != _sorted_json(self.layout.shared):
            raise SampleError(f"{self.label(number)}: its metadata is not that of its shard", RESTORE)
        return metadata

    @cached_property
    def stories(self) -> list[dict[str, Any]]:
        """Town and episode of each sample, by these names; None where it does not say."""
        stories: list[dict[str, Any]] = _details(self).select(["town", "episode"]).to_pylist()
        return stories

    def original(self, number: int) -> tuple[bytes, bytes]:
        """Return the NPZ and the JSON file of a sample, to the byte."""
        row = _row(self, number)
        sample = self.sample(number)
        text = io.dump_json(self.metadata(number)) if row["meta_json"] is None else row["meta_json"]
        if row["npz"] is not None:
            return row["npz"], text
        return pack_npz(sample.arrays(), row["container"] == DEFLATED), text

    def _read_table(self) -> bytes:
        data = io.read_file(self.ref.samples, self.limits.max_sample_bytes)
        if self.ref.samples_sha256 not in (None, io.sha256(data)):
            raise self._damaged("its sha256 is not the one in the manifest; the file has changed")
        return data

    def _decode(self, data: bytes, schema: pa.Schema, fields: Sequence[int]) -> pa.RecordBatch:
        try:
            length = struct.unpack_from("<Ii", data, len(MAGIC))[1]
        except struct.error as error:
            raise self._damaged("is cut short") from error
        return decode(
            data[len(MAGIC) + 8 + length :], schema, self.limits, f"{self.ref.samples}: its table", fields
        )

    def _about(self, schema: pa.Schema) -> dict[str, Any]:
        try:
            about = orjson.loads((schema.metadata or {})[KEY])
        except (KeyError, orjson.JSONDecodeError) as error:
            raise self._damaged("does not say what it holds") from error
        if not isinstance(about, dict):
            raise self._damaged("does not say what it holds")
        return about

    @cached_property
    def _schema(self) -> pa.Schema:
        """The schema of the rows, which must be the one of the layout."""
        header = io.read_range(self.ref.path, 0, self.batches[0].offset)
        if io.sha256(header) != self._header:
            raise SampleError(f"{self.ref.path}: {_CHANGED}", RESTORE)
        schema = read_schema(header, str(self.ref.path))
        if not schema.equals(self.layout.schema()):
            raise SampleError(f"{self.ref.path}: has other columns than its samples table says", RESTORE)
        return schema

    def _scenarios(self, index: pa.RecordBatch) -> dict[str, tuple[str, int]]:
        """Return the scenarios by digest: the name, and the number of the first sample."""
        names, digests = (texts_of(index.column(name)) for name in ("scenario", "scenario_sha256"))
        found: dict[str, tuple[str, int]] = {}
        for number in self.kept:
            if number < len(digests) and (digest := digests[number]) is not None and digest not in found:
                found[digest] = str(names[number]), number
        return found

    def _check_index(self, index: pa.RecordBatch) -> None:
        """Check that the samples follow each other without gap, and that episodes fill samples."""
        optional = ("name", "scenario", "scenario_sha256")
        if not self.count or any(index.column(name).null_count for name in INDEX if name not in optional):
            raise self._damaged("has no samples, or samples without values")
        if not all(map(is_file_name, {*self.given_names} - {None})):
            raise self._damaged("has a name that is not NAME.npz")
        if self.timesteps.min() < 1 or not np.array_equal(self.first_rows, first_rows(self.timesteps)):
            raise self._damaged("has samples that do not follow each other")
        if not np.isfinite(self.last_values).all():
            raise self._damaged("has a last_value_pred that is NaN or infinite")
        if not all(NAME_PATTERN.fullmatch(agent) for agent in set(self.agents)) and not self.layout.is_older:
            raise self._damaged("has an agent_id that is not 1 to 64 letters, digits, '_', '.' or '-'")
        ticks, ends = self._ends
        if not ticks.offsets.equals(ends.offsets) or ticks.values.null_count or ends.values.null_count:
            raise self._damaged("has episodes without an end")
        owners = np.repeat(np.arange(self.count), np.diff(ticks.offsets.to_numpy()))
        lengths, kinds = ticks.flatten().to_numpy(), ends.flatten().to_numpy()
        is_last = np.append(owners[1:] != owners[:-1], True)
        sums = np.bincount(owners, lengths, self.count)
        if (
            (lengths < 1).any()
            or not np.array_equal(sums, self.timesteps)
            or (kinds > 2).any()
            or ((kinds == UNFINISHED) & ~is_last).any()
        ):
            raise self._damaged("has episodes that do not fill their samples")
        listed = (self.ref.sample_count, self.ref.transitions)
        if listed[0] not in (None, self.count) or listed[1] not in (None, self.transitions):
            found = f"{count(self.count, 'sample')} of {count(self.transitions, 'transition')}"
            raise self._damaged(f"holds {found}, the manifest says {listed[0]} of {listed[1]}")
        if any(not 0 <= number < self.count for number in self.ref.only or ()):
            raise self._damaged(
                f"has {count(self.count, 'sample')}, the manifest keeps number {max(self.ref.only or ())}"
            )

    def _check_shared(self) -> None:
        """Check what the samples have in common, by the metadata of the first one."""
        ticks, place = int(self.timesteps[0]), self.label(0)
        like = {
            name: np.broadcast_to(np.zeros((), ARRAYS[name][0]), (ticks + (name == "value_preds"), *width))
            for name, width in self.layout.widths.items()
        }
        raise_first(check_metadata(self.metadata(0), like, place, self.limits))

    def _check_rows(self, rows: Rows, batch: Batch) -> None:
        """Check the values of a record batch against the rules and the samples table."""
        first, last = batch.first_sample, batch.last_sample
        numbers = np.repeat(np.arange(first, last), self.timesteps[first:last])
        starts = np.repeat(self.first_rows[first:last], self.timesteps[first:last]) - batch.first_row
        place = str(self.ref.path)
        if not np.array_equal(rows.sample, numbers) or not np.array_equal(
            rows.tick, np.arange(rows.count) - starts
        ):
            raise SampleError(f"{place}: its rows are not those of the samples table", RESTORE)
        arrays = {**rows.arrays, "map": rows.arrays["map"][:]}
        found = problems(check_values(arrays, self.layout.shared, place, self.limits))
        if found:  # name the sample and its tick
            for number in range(first, last):
                ticks = slice(
                    *(int(self.first_rows[number]) - batch.first_row + n for n in (0, self.timesteps[number]))
                )
                own = {name: array[ticks] for name, array in arrays.items()}
                where = self.label(number)
                found = problems(check_values(own, self.layout.shared, where, self.limits)) or found
        if found:
            raise SampleError(str(found[0]), found[0].hint)
        ticks_, ends = (column.slice(first, last - first).flatten().to_numpy() for column in self._ends)
        stops = np.cumsum(ticks_) - 1
        dones = np.zeros(rows.count, bool)
        dones[stops[ends != UNFINISHED]] = True
        if not np.array_equal(arrays["dones"], dones):
            raise SampleError(f"{place}: its episodes are not those of the samples table", RESTORE)

    def _damaged(self, message: str) -> SampleError:
        return SampleError(f"{self.ref.samples}: {message}", RESTORE)


def _sorted_json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=2)
def _recent_rows(shard: Shard, batch: int) -> Rows:
    """Return a record batch; samples are mostly read in order."""
    return shard.read_rows(batch)


def _row(shard: Shard, number: int) -> dict[str, Any]:
    """Return what the samples table says of a sample, except the index."""
    return _some_rows(shard, number // _TOGETHER)[number % _TOGETHER].copy()


@lru_cache(maxsize=2)
def _some_rows(shard: Shard, part: int) -> list[dict[str, Any]]:
    """Return rows of the samples table; they are mostly read in order."""
    rows: list[dict[str, Any]] = _details(shard).slice(part * _TOGETHER, _TOGETHER).to_pylist()
    return rows


@lru_cache(maxsize=2)
def _details(shard: Shard) -> pa.RecordBatch:
    """Return the columns that the metadata of a sample needs."""
    data = shard._read_table()
    schema = read_schema(data, str(shard.ref.samples))
    names = ("metrics", *DETAILS, "scenario", "scenario_sha256")
    return shard._decode(data, schema, [schema.get_field_index(name) for name in names])
