"""Shards of an evaluation: files that any machines write, from which a merge measures what one would have.

    evaluation-00002-of-00008.parquet

A shard has a row per policy and episode: the sums of `measures.tally.SUMS`, a float64 per agent. Its
metadata says of which evaluation it is, and the digest of both.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from townlet_core import __version__, io
from townlet_core.capture.rollout import SCRIPTS, RecordedPolicy
from townlet_core.errors import InputError, count, shown
from townlet_core.evaluate import (
    TOWNS_AT_ONCE,
    check_evaluation,
    count_blocks,
    episodes_of,
    play_block,
)
from townlet_core.locks import FileLock
from townlet_core.measures.table import measure_episodes
from townlet_core.measures.tally import SUMS, Rows
from townlet_core.scenario.load import scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.shards import blocks_of_shard, check_shards, plan_difference

_NAME = re.compile(r"evaluation-\d{5,6}-of-\d{5,6}\.parquet")
_KEY = b"townlet"  # in the metadata of the file
_MAX_BYTES = 1 << 32
_REPLACE = "choose another --output, or replace it with --force"
_Natural = Annotated[int, msgspec.Meta(ge=0)]


class Plan(msgspec.Struct, frozen=True):
    """Everything that decides the rows of an evaluation, and what its report says beside the measures."""

    scenario: str
    scenario_sha256: str
    source: str  # the scenario as it was named: a bundled name, or a file
    agents: list[str]  # ids
    policies: list[str]  # as they were named
    behaviours: list[str]  # of each policy `scripted`, `random`, or the sha256 of its weights
    deterministic: list[bool]  # of each policy
    episodes: Annotated[int, msgspec.Meta(ge=2)]  # of the whole evaluation
    seed: _Natural
    shard: tuple[_Natural, _Natural] | None  # (I, N), or None for the whole
    versions: dict[str, str]  # of libraries

    @property
    def blocks(self) -> range:
        """The numbers of the blocks to play."""
        return blocks_of_shard(count_blocks(self.episodes), self.shard)

    @property
    def numbers(self) -> range:
        """The numbers of the episodes to play."""
        first, last = (episodes_of(self.episodes, block) for block in (self.blocks[0], self.blocks[-1]))
        return range(first.start, last.stop)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        return {**msgspec.structs.asdict(self), "shard": self.shard and list(self.shard)}


def plan_evaluation(
    scenario: Scenario,
    source: str,
    policies: Sequence[tuple[str, RecordedPolicy]],
    episodes: int,
    seed: int,
    shard: tuple[int, int] | None = None,
) -> Plan:
    """Plan an evaluation of policies, with their names, or a shard (I, N) of it.

    Raises InputError for what cannot be evaluated, and for more shards than blocks of episodes.
    """
    check_evaluation(scenario, episodes)
    blocks = count_blocks(episodes)
    if shard and not 1 <= shard[0] <= shard[1] <= blocks:
        raise InputError(
            f"shard {shard[0]}/{shard[1]}: {count(episodes, 'episode')} are {count(blocks, 'block')} "
            f"of {TOWNS_AT_ONCE}, expected at most {count(blocks, 'shard')}",
            "use fewer shards, or play more episodes",
        )
    behaviours = [policy.behaviour for _, policy in policies]
    with_network = not {*behaviours} <= {*SCRIPTS}
    versions = {"townlet": __version__, "numpy": np.__version__}
    return Plan(
        scenario=scenario.name,
        scenario_sha256=scenario_sha256(scenario),
        source=source,
        agents=[agent.id for agent in scenario.agents],
        policies=[name for name, _ in policies],
        behaviours=behaviours,
        deterministic=[policy.deterministic for _, policy in policies],
        episodes=episodes,
        seed=seed,
        shard=shard,
        versions=versions | ({"torch": version("torch")} if with_network else {}),
    )


def shard_path(folder: Path, plan: Plan) -> Path:
    """Return the file of a shard. Raises InputError for the plan of a whole evaluation."""
    if plan.shard is None:
        raise InputError(
            "the plan is of a whole evaluation, expected one of a shard", "give it a shard: (I, N)"
        )
    number, shards = plan.shard
    return folder / f"evaluation-{number:05d}-of-{shards:05d}.parquet"


def is_written(path: Path, plan: Plan) -> bool:
    """Whether a shard is there already. Raises InputError if anything else is in its place."""
    if io.kind_of(path) is None:
        io.refuse_existing(path, force=False)  # a link that leads nowhere
        return False
    try:
        file = _open(path)
        if difference := plan_difference(file.plan.as_dict(), plan.as_dict()):
            name, was, expected = difference
            raise InputError(f"{path}: is of another evaluation: its {name} is {was}, expected {expected}")
        file.read()
    except InputError as error:
        error.hint = _REPLACE
        raise
    return True


def write_shard(
    scenario: Scenario,
    policies: Iterable[RecordedPolicy],
    plan: Plan,
    folder: Path,
    force: bool = False,
    after_episode: Callable[[], Any] = lambda: None,
) -> bool:
    """Play a shard with every policy of the plan and write its file, atomically; whether that was needed.

    A shard that is there is not played again. force: play it, and replace whatever is in its place.
    Raises BusyError if another process is playing it, InputError as is_written, or DiskError.
    """
    path = shard_path(folder, plan)
    with FileLock(path):
        for name in io.list_folder(folder):
            if io.TEMPORARY.fullmatch(name) and name.startswith(f".{path.name}."):
                io.remove(folder / name)  # of a process that was killed
        if not force and is_written(path, plan):
            return False
        rows = [_play(scenario, policy, plan, after_episode) for policy in policies]
        io.write_file(path, _pack(plan, rows))
    return True


def merge_shards(paths: Iterable[Path]) -> tuple[Plan, list[np.ndarray]]:
    """Return the plan of the whole evaluation and each policy's measures, to the bit those of `evaluate`.

    paths: shards in any order, and folders of them. Memory holds one shard, and the measures of each episode.
    Raises InputError if shards are missing, given twice, damaged, or of different evaluations or versions;
    MissingError or DiskError.
    """
    measured = []
    for path in _files(paths):
        file = _open(path)
        _refuse_version(file)
        measured.append((path, file.plan, [_measure(file.plan, rows) for rows in file.read()]))
    measured.sort(key=lambda shard: shard[1].shard or (1, 1))
    again = "play them with the same command and --shard I/N"
    check_shards("evaluation", [(path, plan.as_dict()) for path, plan, _ in measured], again)
    whole = msgspec.structs.replace(measured[0][1], shard=None)
    by_policy = zip(*(values for *_, values in measured), strict=True)
    return whole, [np.concatenate([block for blocks in policy for block in blocks]) for policy in by_policy]


def _files(paths: Iterable[Path]) -> list[Path]:
    """Return the paths, and of folders the shards in them."""
    files: list[Path] = []
    for path in map(Path, paths):
        if io.kind_of(path) != "folder":
            files.append(path)
            continue
        found = [path / name for name in io.list_folder(path) if _NAME.fullmatch(name)]
        if not found:
            raise InputError(f"{path}: holds no shard of an evaluation", "evaluate --shard I/N writes them")
        files += found
    return files


def _refuse_version(file: _File) -> None:
    if (played := file.plan.versions["townlet"]) != __version__:
        raise InputError(
            f"{file.path}: was played by townlet {shown(played)}, and this is {__version__}",
            "merge with the version that played, which measures the same",
        )


def _play(scenario: Scenario, policy: RecordedPolicy, plan: Plan, after_episode: Callable[[], Any]) -> Rows:
    """Play the shard's episodes with one policy."""
    blocks = [
        play_block(scenario, policy, plan.episodes, plan.seed, block, after_episode) for block in plan.blocks
    ]
    return {name: np.concatenate([rows[name] for rows in blocks]) for name in SUMS}


def _measure(plan: Plan, rows: Rows) -> list[np.ndarray]:
    """Measure a shard's episodes block by block, as they were played."""
    first, values = plan.numbers.start, []
    for numbers in (episodes_of(plan.episodes, block) for block in plan.blocks):
        block = {name: sums[numbers.start - first : numbers.stop - first] for name, sums in rows.items()}
        values.append(measure_episodes(block))
    return values


def _schema(plan: Plan) -> pa.Schema:
    """Return the columns of a shard: numbers of policy and episode, then a value per agent of every sum."""
    per_agent = pa.list_(pa.field("element", pa.float64(), nullable=False), len(plan.agents))
    keys = [pa.field("policy", pa.int32(), False), pa.field("episode", pa.int64(), False)]
    return pa.schema([*keys, *(pa.field(name, per_agent, False) for name in SUMS)])


def _pack(plan: Plan, rows: Sequence[Rows]) -> bytes:
    """Return the bytes of a shard; equal ones for equal rows, and equal versions of pyarrow."""
    schema, episodes = _schema(plan), plan.numbers
    columns: list[pa.Array] = [
        pa.array(np.repeat(np.arange(len(rows), dtype=np.int32), len(episodes))),
        pa.array(np.tile(np.arange(episodes.start, episodes.stop), len(rows))),
    ]
    for name in SUMS:
        values = np.concatenate([of_policy[name] for of_policy in rows]).reshape(-1)
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(values), type=schema.field(name).type))
    about = {"plan": plan.as_dict(), "sha256": _digest(plan, rows)}
    schema = schema.with_metadata({_KEY: json.dumps(about)})  # ASCII, whatever a name holds
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), buffer, compression="zstd")
    return buffer.getvalue().to_pybytes()


def _digest(plan: Plan, rows: Sequence[Rows]) -> str:
    """Return the sha256 of a plan and its rows."""
    digest = hashlib.sha256(json.dumps(plan.as_dict()).encode())
    for of_policy in rows:
        for name in SUMS:
            digest.update(of_policy[name].tobytes())
    return digest.hexdigest()


class _File(NamedTuple):
    """A shard whose rows were not read yet."""

    path: Path
    plan: Plan
    sha256: str
    table: pq.ParquetFile

    def read(self) -> list[Rows]:
        """Return the rows of each policy. Raises InputError if they are damaged."""
        plan, found = self.plan, self.table
        with _refusing_damage(self.path):
            if found.schema_arrow.remove_metadata() != _schema(plan):
                raise ValueError("other columns")
            if found.metadata.num_rows != len(plan.policies) * len(plan.numbers):
                raise ValueError("other rows")
            rows = _split(plan, found.read(use_threads=False))
            if _digest(plan, rows) != self.sha256:
                raise ValueError("another digest")
            return rows


def _open(path: Path) -> _File:
    """Open a shard. Raises InputError for a file that is none, MissingError or DiskError."""
    data = io.read_file(path, _MAX_BYTES)
    with _refusing_damage(path):
        table = pq.ParquetFile(pa.BufferReader(data))
        about = json.loads(table.schema_arrow.metadata[_KEY])
        plan = msgspec.convert(about["plan"], Plan)
        _check_plan(plan)
        return _File(path, plan, about["sha256"], table)


@contextmanager
def _refusing_damage(path: Path) -> Iterator[None]:
    """Turn what pyarrow and we raise for other bytes than those of a shard into an InputError."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(
            f"{path}: is no shard of an evaluation, or damaged", "play it again, with --force"
        ) from error


def _check_plan(plan: Plan) -> None:
    """Raise ValueError for a plan that plan_evaluation does not make."""
    number, shards = plan.shard or (0, 0)
    same = {len(plan.policies), len(plan.behaviours), len(plan.deterministic)}
    is_ours = 1 <= number <= shards <= count_blocks(plan.episodes) and len(same) == 1 and plan.policies
    if not is_ours or not plan.agents or "townlet" not in plan.versions:
        raise ValueError("a plan that does not fit itself")


def _split(plan: Plan, table: pa.Table) -> list[Rows]:
    """Return the rows of each policy."""
    shape = (len(plan.policies), len(plan.numbers), len(plan.agents))
    sums = {name: table[name].combine_chunks().flatten().to_numpy().reshape(shape) for name in SUMS}
    return [{name: values[p] for name, values in sums.items()} for p in range(len(plan.policies))]
