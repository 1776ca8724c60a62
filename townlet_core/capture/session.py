"""A capture as people ask for it: `capture` makes it, `prepare_capture` only validates what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.capture.capture import (
    PREFIX,
    Capture,
    CaptureSettings,
    check_settings,
    refuse_existing_capture,
    write_capture,
)
from townlet_core.capture.folder import CaptureFiles
from townlet_core.capture.rollout import RecordedPolicy, scripted_policy
from townlet_core.errors import InputError
from townlet_core.scenario.load import load_with_text, resolve_scenario
from townlet_core.scenario.model import Scenario

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

    def write(self, after_tick: Callable[[], Any] = lambda: None) -> Capture:
        """Play the towns and write the files."""
        return write_capture(
            self.scenario,
            self.policy,
            self.settings,
            self.output,
            after_tick,
            scenario_text=self.text,
            force=self.force,
        )


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
    force: bool = False,
) -> Capture:
    """Play a scenario and write replay samples, metrics, events and a manifest into the folder `output`.

    Equal arguments give equal bytes.
    scenario: a bundled name, a YAML file, or a Scenario. output: by default captures/SCENARIO. policy:
    `scripted`, `random`, or what load_policy returns. ticks: of each town, by default one episode. seed: by
    default the scenario's. agent: record this agent only. epsilon: probability of a random legal action of
    the script. prefix: start of all file names. force: replace the capture in the folder.
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
    force: bool,
) -> PreparedCapture:
    """Resolve defaults and refuse what can be refused before anything is played; arguments as in `capture`.

    text: the scenario's file. output: by default captures/SCENARIO.
    """
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
    )
    for name, value, least in (("ticks", settings.ticks, 1), ("towns", towns, 1), ("seed", settings.seed, 0)):
        if not least <= value < SEEDS:
            raise InputError(f"{name}: {value}, expected at least {least}")
    check_settings(scenario, settings)
    folder = Path("captures") / scenario.name if output is None else Path(output)
    replaces = refuse_existing_capture(scenario, settings, folder, force)
    return PreparedCapture(scenario, text, policy, settings, folder, force, replaces)
