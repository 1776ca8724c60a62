"""Replay: open a packed capture, read it for an epoch and train on it, beside NPZ files and peers."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import Effort, Figure, Measure, in_turn
from benchmarks.peers import WORKERS, Ask, peer, worker
from benchmarks.replay_data import NPZ, Data, make_data
from townlet_core import io
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.packed.writer import COMPRESSIONS, SHARD_TRANSITIONS

TOWNS, TICKS = 192, 1440  # 2.2 million transitions, 5.2 GB of NPZ files
PEER_TOWNS = 48  # what the peers store: 1.3 GB each
TRAINING_SHARDS, CYCLES = 2, 16  # two passes over 262,144 transitions, four times what the budget holds
DATA = Path(__file__).parents[1] / "build" / "benchmark-replay"  # unless TOWNLET_BENCH_DATA names a folder
PACKED = COMPRESSIONS[0]  # unless a line says otherwise
ROUNDS = 3  # a round takes long enough by itself
PEERS = {"minari": "Minari", "torchrl": "TorchRL memmap", "huggingface": "Hugging Face datasets"}
LOOP = "np.load of each NPZ file, in order"
MEMORY = "the same from memory"
FIRST = "opening and the first epoch, streaming"

Workers = dict[str, Ask]  # by what they do, or by the name of a peer


def measure(effort: Effort) -> list[Figure]:
    """Make the data, then measure everything that is done with it."""
    if effort.full:
        folder = Path(os.environ.get("TOWNLET_BENCH_DATA", DATA))
        return _figures(make_data(folder, TOWNS, TICKS), effort)
    with tempfile.TemporaryDirectory() as scratch:
        return _figures(make_data(Path(scratch), towns=1, ticks=16), effort)


def _figures(data: Data, effort: Effort) -> list[Figure]:
    rounds = min(effort.rounds, ROUNDS)
    with ExitStack() as stack:
        peers = _start_peers(data, effort, stack)
        streamed, kept, other = (stack.enter_context(start("townlet")) for _ in range(3))
        before = streamed(what="memory")
        figures = [
            *_epochs(data, streamed, kept, other, peers, rounds),
            *_cold(data, other, rounds),
            *_opening(data, other, rounds),
            *_memory(before, streamed, peers),
        ]
    return [*figures, _training(data, rounds)]


def start(name: str) -> contextlib.AbstractContextManager[Ask]:
    """Run a worker in Townlet's own environment."""
    return worker([sys.executable, str(WORKERS / f"{name}_worker.py")])


def _start_peers(data: Data, effort: Effort, stack: ExitStack) -> Workers:
    """Have every peer copy some towns, and start a process for each that opens its copy.

    The copies are removed with the stack. Another process made them, so the memory of this one is that of
    reading.
    """
    folder = data.folder / "peers"
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    files = [str(file) for file in data.files(NPZ)[: PEER_TOWNS * data.agents]]
    peers: Workers = {}
    for name, title in PEERS.items():
        copy = str(folder / name)
        with peer(name, effort.full) as ask:
            if ask is not None:
                shutil.rmtree(copy, ignore_errors=True)
                ask(what="make", folder=copy, files=files)
        if ask is not None and (opener := stack.enter_context(peer(name, wanted=True))):
            peers[title] = partial(opener, folder=copy, transitions=len(files) * data.ticks)
    return peers


def _epochs(data: Data, streamed: Ask, kept: Ask, other: Ask, peers: Workers, rounds: int) -> list[Figure]:
    """Measure an epoch with every file in the page cache."""
    folders = {form: _place(data, form) for form in COMPRESSIONS}
    files = {"files": _names(data, NPZ), "transitions": data.transitions}
    reading = "reading the bytes of the NPZ files"
    measures: dict[str, Measure] = {
        PACKED: partial(streamed, what="epoch", **folders[PACKED]),
        **{form: partial(other, what="epoch", **folders[form]) for form in COMPRESSIONS[1:]},
        FIRST: partial(other, what="first", **folders[PACKED]),
        MEMORY: partial(kept, what="epoch", streaming=False, **folders[PACKED]),
        LOOP: partial(other, what="files", **files),
        reading: partial(other, what="bytes", **files),
        **{name: partial(ask, what="epoch") for name, ask in peers.items()},
    }
    found = in_turn(rounds, measures)
    ours, unit, name = found[PACKED], "transitions/s", "one epoch, streaming"
    return [
        *(
            Figure(f"{name}, {form}", found[form], unit, 2, LOOP, found[LOOP], MEMORY, found[MEMORY])
            for form in COMPRESSIONS
        ),
        Figure(FIRST, found[FIRST], unit, 2, LOOP, found[LOOP], MEMORY, found[MEMORY]),
        Figure("one epoch, in memory", found[MEMORY], unit, 1, LOOP, found[LOOP], reading, found[reading]),
        *(
            Figure(f"{name}, beside {peer}", ours, unit, 2, peer, found[peer], MEMORY, found[MEMORY])
            for peer in peers
        ),
    ]


def _cold(data: Data, other: Ask, rounds: int) -> list[Figure]:
    """Measure an epoch after the files were removed from the page cache, where the system can do that."""
    if not hasattr(os, "posix_fadvise"):
        return []
    peer, limit = "reading the bytes of the NPZ files, cold", "reading the bytes of the shards, cold"
    figures = []
    for form in COMPRESSIONS:
        name = f"one epoch, streaming, {form}, cold"
        measures: dict[str, Measure] = {}
        for what, of in ((peer, NPZ), (limit, form)):
            files = _names(data, of)
            measures[what] = partial(
                other, what="bytes", files=files, cold=files, transitions=data.transitions
            )
        measures[name] = partial(other, what="epoch", cold=_names(data, form), **_place(data, form))
        found = in_turn(rounds, measures)
        figures.append(Figure(name, found[name], "transitions/s", 2, peer, found[peer], limit, found[limit]))
    return figures


def _opening(data: Data, other: Ask, rounds: int) -> list[Figure]:
    """Measure until the first batch could be asked for."""
    npz = "opening the NPZ files"
    measures: dict[str, Measure] = {
        "ours": partial(other, what="open", **_place(data, PACKED)),
        npz: partial(other, what="open", **_place(data, NPZ)),
    }
    found = in_turn(rounds, measures)
    return [Figure(f"opening {data.transitions:,} transitions", found["ours"], "s", 1, npz, found[npz])]


def _memory(before: float, streamed: Ask, peers: Workers) -> list[Figure]:
    """Compare the processes that have read for some epochs."""
    name, limit = "peak memory of streaming, torch included", "the process before it opens anything"
    ours = streamed(what="memory")
    others = {peer: ask(what="memory") for peer, ask in peers.items()}
    return [
        Figure(name, ours, "MB", 2, limit=limit, limit_value=before),
        *(
            Figure(f"{name}, beside {peer}", ours, "MB", 2, peer, value, limit, before)
            for peer, value in others.items()
        ),
    ]


def _training(data: Data, rounds: int) -> Figure:
    """Measure runs that stream and runs in memory; the worker checks that all end with the same weights."""
    listed = io.read_json(data.manifest(PACKED))
    shards = listed["shards"][:TRAINING_SHARDS]
    manifest = save_manifest(data.folder / PACKED, "training", [], listed["metadata"], shards=shards)
    cycles = -(
        -CYCLES * sum(shard["transitions"] for shard in shards) // (TRAINING_SHARDS * SHARD_TRANSITIONS)
    )
    with tempfile.TemporaryDirectory() as folder, start("training") as ask:
        request = {"manifest": str(manifest), "output": str(Path(folder) / "run"), "cycles": cycles}
        measures: dict[str, Measure] = {
            name: partial(ask, streaming=name == "ours", **request) for name in ("ours", MEMORY)
        }
        found = in_turn(rounds, measures)
    name = f"a training run that streams, {cycles} cycles"
    return Figure(name, found["ours"], "s", 2, limit=MEMORY, limit_value=found[MEMORY])


def _place(data: Data, form: str) -> dict[str, Any]:
    """Return the fields of a request about one form."""
    return {"folder": str(data.manifest(form)), "transitions": data.transitions}


def _names(data: Data, form: str) -> list[str]:
    return [str(file) for file in data.files(form)]
