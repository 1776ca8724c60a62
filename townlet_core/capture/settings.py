"""What to capture: settings, what they refuse, and the plan that identifies a capture."""

from __future__ import annotations

import zlib
from importlib.metadata import version
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from townlet_core import __version__
from townlet_core.errors import InputError, count, did_you_mean, shown
from townlet_core.replay.packed.writer import COMPRESSIONS
from townlet_core.scenario.load import scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.shards import blocks_of_shard
from townlet_core.vocab import NAME_PATTERN

PREFIX = "rollout_sample"  # of file names, unless another is chosen
Format = Literal["npz", "arrow"]
FORMATS: tuple[Format, ...] = get_args(Format)
BLOCK_TRANSITIONS = 100_000  # of a block, about; a block is the unit of work, and one Arrow shard
MAX_NPZ_SAMPLES = 40_000  # the metrics file of more is larger than readers accept


class CaptureSettings(NamedTuple):
    """What to record, and its origin for the metadata."""

    ticks: int  # per town, over as many episodes as needed
    num_towns: int = 1
    seed: int = 0
    agent: str | None = None  # record only this agent
    behaviour: str = "scripted"  # or the acting checkpoint's sha256
    value_source: str = "none"  # the critic behind the values
    epsilon: float | None = None  # of a scripted policy
    deterministic: bool = False  # the most probable action, instead of sampling
    prefix: str = PREFIX
    compress: bool = False  # the NPZ files
    format: str = "npz"
    compression: str = "zstd"  # of Arrow shards
    shard: tuple[int, int] | None = None  # (I, N): only the I-th of N parts, from 1


def check_settings(scenario: Scenario, settings: CaptureSettings) -> list[int]:
    """Return the agents to record. Raises InputError for invalid settings."""
    ids = [agent.id for agent in scenario.agents]
    if not ids:
        raise InputError(f"{scenario.name}: has no agents to record", "add some, or use --auto-seed-agents")
    if not NAME_PATTERN.fullmatch(settings.prefix):
        raise InputError(
            f"prefix {shown(settings.prefix)}: expected 1 to 64 letters, digits, '_', '.' or '-'"
        )
    if settings.agent is None:
        chosen = list(range(len(ids)))
    elif settings.agent in ids:
        chosen = [ids.index(settings.agent)]
    else:
        near = did_you_mean(settings.agent, ids)
        raise InputError(
            f"{scenario.name}: no agent {shown(settings.agent)}{near}", f"agents: {', '.join(ids)}"
        )
    _check_form(scenario, settings, len(chosen))
    return chosen


def _check_form(scenario: Scenario, settings: CaptureSettings, agents: int) -> None:
    """Raise InputError for an unknown form, for too many NPZ files, and for more shards than blocks."""
    for name, value, known in (
        ("format", settings.format, FORMATS),
        ("compression", settings.compression, COMPRESSIONS),
    ):
        if value not in known:
            near = did_you_mean(value, known)
            raise InputError(f"{name} {shown(value)}: expected {', '.join(known)}{near}")
    if settings.compress and settings.format != "npz":
        raise InputError("compress is for NPZ files", "leave it out: compression is for shards")
    samples = settings.num_towns * agents * -(-settings.ticks // scenario.ticks)
    if settings.format == "npz" and samples > MAX_NPZ_SAMPLES:
        raise InputError(
            f"{count(settings.num_towns, 'town')}: at least {count(samples, 'sample')}, expected at most "
            f"{MAX_NPZ_SAMPLES:,} as NPZ files",
            "write shards with --format arrow",
        )
    if settings.shard is None:
        return
    number, shards = settings.shard
    blocks = -(-settings.num_towns // block_towns(settings.ticks, agents))
    if not 1 <= number <= shards <= blocks:
        raise InputError(
            f"shard {number}/{shards}: {count(settings.num_towns, 'town')} are {count(blocks, 'block')}, "
            f"expected at most {count(blocks, 'shard')}",
            "use fewer shards, or capture more towns",
        )


def refuse_uncheckable(scenario: Scenario, settings: CaptureSettings) -> None:
    """Raise InputError if the ranges in `expect` do not apply to this capture.

    They hold for the scenario's default capture: one town, all agents, the scripted policy, the scenario's
    seed, ticks and epsilon.
    """
    if not scenario.expect:
        raise InputError(
            f"{scenario.name}: has no expect:, so --check has nothing to compare",
            "add some, or leave --check out",
        )
    own = {
        "towns": (settings.num_towns, 1),
        "agent": (settings.agent or "all", "all"),
        "policy": (settings.behaviour, "scripted"),
        "seed": (settings.seed, scenario.seed),
        "ticks": (settings.ticks, scenario.ticks),
        "epsilon": (settings.epsilon, scenario.rules.epsilon),
    }
    for name, (found, expected) in own.items():
        if found != expected:
            raise InputError(
                f"--check: the expectations of {scenario.name} are for {name} {expected}, found {found}",
                f"leave out --{name}, or --check",
            )


def describe_origin(scenario: Scenario, settings: CaptureSettings) -> dict[str, Any]:
    """Describe the origin of the data, without time and path, so that equal captures are equal files."""
    about: dict[str, Any] = {
        "behaviour": settings.behaviour,
        "value_source": settings.value_source,
        "capture": {
            "scenario": scenario.name,
            "scenario_sha256": scenario_sha256(scenario),
            "seed": settings.seed,
            "ticks": settings.ticks,
            "versions": {"townlet": __version__, "numpy": np.__version__},
        },
    }
    if settings.behaviour in ("scripted", "random"):
        about["capture"]["epsilon"] = settings.epsilon
    if settings.deterministic:
        about["capture"]["deterministic"] = True
    return about


def block_towns(ticks: int, agents: int) -> int:
    """Return the number of towns in a block, a function of the settings alone."""
    return max(1, BLOCK_TRANSITIONS // (ticks * agents))


def plan_capture(scenario: Scenario, settings: CaptureSettings) -> dict[str, Any]:
    """Return everything that decides the bytes of a capture, as JSON: equal plans write equal files.

    `origin`: what samples and manifest say. `shard`: (I, N), or null for the whole capture.
    """
    chosen = check_settings(scenario, settings)
    is_packed = settings.format == "arrow"
    writer = {"pyarrow": version("pyarrow")} if is_packed else {"zlib": zlib.ZLIB_RUNTIME_VERSION}
    return {
        "origin": describe_origin(scenario, settings),
        "towns": settings.num_towns,
        "agents": [scenario.agents[i].id for i in chosen],
        "prefix": settings.prefix,
        "format": settings.format,
        "compression": settings.compression if is_packed else ("deflate" if settings.compress else "none"),
        "block_towns": block_towns(settings.ticks, len(chosen)),
        "shard": None if settings.shard is None else list(settings.shard),
        "versions": writer if is_packed or settings.compress else {},
    }


def blocks_of(plan: dict[str, Any]) -> range:
    """Return the numbers of a plan's blocks, from 0."""
    return blocks_of_shard(-(-plan["towns"] // plan["block_towns"]), plan["shard"])


def towns_of(plan: dict[str, Any], block: int) -> range:
    """Return the numbers of the towns in a block."""
    first = block * plan["block_towns"]
    return range(first, min(first + plan["block_towns"], plan["towns"]))
