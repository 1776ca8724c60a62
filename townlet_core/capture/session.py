"""A capture as people ask for it: `capture` makes it, `prepare_capture` only validates what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.capture.capture import refuse_existing_capture, write_capture
from townlet_core.capture.finish import Capture, load_finished
from townlet_core.capture.folder import CaptureFiles
from townlet_core.capture.rollout import RecordedPolicy, scripted_policy
from townlet_core.capture.settings import (
    PREFIX,
    CaptureSettings,
    blocks_of,
    check_settings,
    plan_capture,
    towns_of,
)
from townlet_core.capture.unfinished import Unfinished
from townlet_core.errors import InputError
from townlet_core.scenario.load import load_with_text, resolve_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.shards import parse_shard

SEEDS = 2**63  # seeds are below


class PreparedCapture(NamedTuple):
    """A capture that nothing speaks against."""

    scenario: Scenario
    text: bytes | None  # the scenario's own file
    policy: RecordedPolicy
    settings: CaptureSettings
    output: Path
    force: bool
    replaces: CaptureFiles  # what is in the folder
    finished: Capture | None  # this very shard, which is in the folder and will not be played again
    workers: int

    def write(self, after: Callable[[int], Any] = lambda ticks: None) -> Capture:
        """Play the towns and write the files. after: is told how many ticks of a town were played."""
        return write_capture(
            self.scenario,
            self.policy,
            self.settings,
            self.output,
            after,
            scenario_text=self.text,
            force=self.force,
            workers=self.workers,
        )

    @property
    def towns(self) -> int:
        """The number of towns to play: all, or those of the shard; none of one that is there."""
        if self.finished:
            return 0
        plan = plan_capture(self.scenario, self.settings)
        return sum(len(towns_of(plan, block)) for block in blocks_of(plan))

    @property
    def finished_towns(self) -> int:
        """The number of towns that an interrupted capture of the same settings has finished."""
        unfinished = Unfinished(self.output, plan_capture(self.scenario, self.settings))
        return unfinished.finished_towns() if unfinished.can_continue() else 0


def capture(
    scenario: Scenario | str | Path,
    output: str | Path | None = None,
    policy: RecordedPolicy | str = "scripted",
    *,
    ticks: int | None = None,
    towns: int = 1,
    seed: int | None = None,
    agent: str | None = None,
    epsilon: float | None = None,
    prefix: str = PREFIX,
    compress: bool = False,
    format: str = "npz",
    compression: str | None = None,
    shard: str | None = None,
    workers: int = 1,
    force: bool = False,
) -> Capture:
    """Play a scenario and write replay samples, metrics, events and a manifest into the folder `output`.

    Equal arguments give equal bytes, whatever `workers` is.
    scenario: a bundled name, a YAML file, or a Scenario. output: by default captures/SCENARIO. policy:
    `scripted`, `random`, or what load_policy returns. ticks: of each town, by default one episode. seed: by
    default the scenario's. agent: record this agent only. epsilon: probability of a random legal action of
    the script. prefix: start of all file names. compress: deflate the NPZ files. format: `npz`, or `arrow`
    for shards of many samples. compression: of shards, `zstd` (the default), `lz4` or `none`. shard: `I/N`
    for the I-th of N parts of the capture; one that is there is not played again. workers: number of
    processes. force: replace the capture in the folder.
    Raises InputError for what cannot be captured, and if the folder holds anything else.
    """
    if isinstance(scenario, Scenario):
        loaded, text = resolve_scenario(scenario), None
    else:
        loaded, text = load_with_text(scenario)
    if epsilon is not None and policy != "scripted":
        raise InputError("epsilon is for the scripted policy, and another one is given", "leave it out")
    acting = scripted_policy(policy, loaded, epsilon) if isinstance(policy, str) else policy
    prepared = prepare_capture(
        loaded,
        output,
        acting,
        text=text,
        ticks=ticks,
        towns=towns,
        seed=seed,
        agent=agent,
        prefix=prefix,
        compress=compress,
        format=format,
        compression=compression,
        shard=shard,
        workers=workers,
        force=force,
    )
    return prepared.write()


def prepare_capture(
    scenario: Scenario,
    output: str | Path | None,
    policy: RecordedPolicy,
    *,
    text: bytes | None,
    ticks: int | None,
    towns: int,
    seed: int | None,
    agent: str | None,
    prefix: str,
    compress: bool,
    format: str,
    compression: str | None,
    shard: str | None,
    workers: int,
    force: bool,
) -> PreparedCapture:
    """Resolve defaults and refuse what can be refused before anything is played; arguments as in `capture`.

    text: the scenario's file. output: by default captures/SCENARIO.
    """
    if compression is not None and format == "npz":
        raise InputError("compression is for shards", "choose --format arrow, or --compress for NPZ files")
    settings = CaptureSettings(
        ticks=scenario.ticks if ticks is None else ticks,
        num_towns=towns,
        seed=scenario.seed if seed is None else seed,
        agent=agent,
        behaviour=policy.behaviour,
        value_source=policy.value_source,
        epsilon=policy.epsilon,
        deterministic=policy.deterministic,
        prefix=prefix,
        compress=compress,
        format=format,
        compression=compression or "zstd",
        shard=None if shard is None else parse_shard(shard),
    )
    numbers = (
        ("ticks", settings.ticks, 1),
        ("towns", towns, 1),
        ("workers", workers, 1),
        ("seed", settings.seed, 0),
    )
    for name, value, least in numbers:
        if not least <= value < SEEDS:
            raise InputError(f"{name}: {value}, expected at least {least}")
    check_settings(scenario, settings)
    folder = Path("captures") / scenario.name if output is None else Path(output)
    finished = None if force else load_finished(folder, plan_capture(scenario, settings))
    nothing = CaptureFiles([], {}, [])
    replaces = nothing if finished else refuse_existing_capture(scenario, settings, folder, force)
    return PreparedCapture(scenario, text, policy, settings, folder, force, replaces, finished, workers)
