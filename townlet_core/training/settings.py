"""Everything that can be chosen about a training run, and where each choice came from.

A value comes from the first of: a flag, a TOWNLET_* environment variable, the configuration file, the
default. In the file, the keys stand under `training:` and `ppo:`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from ruamel.yaml import YAML, YAMLError

from townlet_core import io
from townlet_core.errors import InputError, did_you_mean
from townlet_core.ppo.config import PPOConfig

MAX_CONFIG_BYTES = 1 << 20
PREFIX = "TOWNLET_"


class TrainingSettings(PPOConfig, BaseSettings):
    """A training run: PPO's hyperparameters and everything around them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_parse_none_str="null", frozen=True, extra="forbid", allow_inf_nan=False
    )

    scenario: str = Field("queue_conflict", description="Name of a bundled scenario, or a YAML file.")
    source: Literal["replay", "rollout", "mixed"] = Field(
        "mixed", description="Learn from recordings, from live towns, or from both in turn."
    )
    cycles: int = Field(10, ge=1, le=1_000_000, description="Training cycles; each ends with a checkpoint.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of weights, towns, draws and shuffles.")
    num_towns: int = Field(32, ge=1, le=65536, description="Towns played at once in a rollout.")
    rollout_ticks: int | None = Field(
        None, ge=1, le=1_000_000, description="Ticks of each rollout; by default an episode, at most 256."
    )
    replay_manifest: tuple[Path, ...] = Field((), description="Manifest of recordings; may be repeated.")
    replay_sample: tuple[Path, ...] = Field((), description="One recorded NPZ; may be repeated.")
    replay_transitions: int = Field(
        32768, ge=1, description="Recorded transitions learned from per cycle, at most."
    )
    replay_correction: Literal["self_imitation", "vtrace"] = Field(
        "self_imitation", description="How recordings, which another policy made, are learned from."
    )
    warm_start: Literal["none", "bc"] = Field(
        "none", description="Before PPO, imitate the recordings (behaviour cloning), or do not."
    )
    warm_start_epochs: int = Field(
        20, ge=1, le=100_000, description="Passes over the recordings in a warm start."
    )
    streaming: bool = Field(False, description="Read recordings when they are due, in bounded memory.")
    capture_dir: Path | None = Field(
        None, description="Where recordings are made if none are given; by default RUN/samples."
    )
    follow_links: bool = Field(False, description="Follow links out of the recordings' folder.")
    capture_towns: int | None = Field(
        None, ge=1, le=4096, description="Towns recorded if no recordings are given; by default a few."
    )
    normalise_observations: bool = Field(
        False, description="Count features in standard deviations from their running mean."
    )
    normalise_returns: bool = Field(
        False, description="Let the critic predict returns in standard deviations from their running mean."
    )
    hidden_size: int = Field(256, ge=1, le=8192, description="Width of the network's layers.")
    ppo_log: Path | None = Field(None, description="Telemetry file; by default RUN/telemetry.jsonl.")
    log_every: int = Field(1, ge=1, description="Write every n-th telemetry record.")
    log_max_bytes: int | None = Field(None, ge=1024, description="Rotate the telemetry file at this size.")
    keep_checkpoints: int = Field(2, ge=1, le=1000, description="Checkpoint generations kept.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what resolve_settings has merged; the environment is one of its sources."""
        return (init_settings,)

    @property
    def uses_recordings(self) -> bool:
        """Whether recordings are needed: for the cycles, or for the warm start before them."""
        return self.source != "rollout" or self.warm_start == "bc"

    @property
    def ppo(self) -> PPOConfig:
        """The hyperparameters alone."""
        return PPOConfig(**self.model_dump(include=set(PPOConfig.model_fields)))


def resolve_settings(
    flags: dict[str, Any], config: Path | None = None, environment: bool = True
) -> tuple[TrainingSettings, dict[str, str]]:
    """Merge flags, environment, file and defaults. Returns the settings and each value's source by name.

    Raises InputError naming the flag, variable or key that does not fit, and the nearest known one.
    """
    variables = _environment() if environment else {}
    layers = {"flag": flags, "environment": variables, str(config): _read_config(config)}
    merged: dict[str, Any] = {}
    sources = dict.fromkeys(TrainingSettings.model_fields, "default")
    for source, values in reversed(layers.items()):
        merged |= values
        sources |= dict.fromkeys(values, source)
    try:
        settings = TrainingSettings(**merged)
        _refuse_idle(settings, flags)
        return settings, sources
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise InputError(
            f"{_spell(name, sources.get(name, 'flag'))}: found {first['input']!r}, expected "
            + first["msg"].removeprefix("Input should be "),
            "docs/cli.md lists every setting with its range",
        ) from error


def with_absolute_paths(settings: TrainingSettings) -> TrainingSettings:
    """Make every path absolute, so that the run can be resumed from any folder."""
    changes: dict[str, Any] = {
        "replay_manifest": tuple(path.absolute() for path in settings.replay_manifest),
        "replay_sample": tuple(path.absolute() for path in settings.replay_sample),
        "capture_dir": settings.capture_dir and settings.capture_dir.absolute(),
        "ppo_log": settings.ppo_log and settings.ppo_log.absolute(),
    }
    if io.kind_of(Path(settings.scenario)) == "file":
        changes["scenario"] = str(Path(settings.scenario).absolute())
    return settings.model_copy(update=changes)


def _refuse_idle(settings: TrainingSettings, flags: dict[str, Any]) -> None:
    """Raise InputError for a flag that would change nothing beside the others."""
    records = settings.uses_recordings and not (settings.replay_manifest or settings.replay_sample)
    idle = {
        "warm_start_epochs": ""
        if settings.warm_start == "bc"
        else "without --warm-start bc nothing is imitated",
        "capture_towns": "" if records else "no recordings are made here",
        "capture_dir": "" if records else "no recordings are made here",
    }
    for name, reason in idle.items():
        if reason and name in flags:
            raise InputError(f"{_spell(name, 'flag')}: {reason}", "leave it out")


def _spell(name: str, source: str) -> str:
    """Name a setting the way its source spells it."""
    if source == "flag":
        return "--" + ("mode" if name == "source" else name.replace("_", "-"))
    return PREFIX + name.upper() if source == "environment" else f"{source}: {name}"


def _environment() -> dict[str, Any]:
    names = {PREFIX + name.upper(): name for name in TrainingSettings.model_fields}
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable not in names:
            raise InputError(
                f"environment variable {variable}: no such setting{did_you_mean(variable, list(names))}"
            )
    found = {name: os.environ[variable] for variable, name in names.items() if variable in os.environ}
    return {name: _parse_variable(name, text) for name, text in found.items()}


def _parse_variable(name: str, text: str) -> Any:
    """Read a variable's text: null is None, and lists of files are separated as in PATH."""
    if text == "null":
        return None
    return text.split(os.pathsep) if name in ("replay_manifest", "replay_sample") else text


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = YAML(typ="safe", pure=True).load(io.read_file(path, MAX_CONFIG_BYTES).decode("utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping with `training:` and `ppo:`")
    values: dict[str, Any] = {}
    known = {"ppo": set(PPOConfig.model_fields)}
    known["training"] = set(TrainingSettings.model_fields) - known["ppo"]
    for section, entries in content.items():
        if section not in known:
            raise InputError(f"{path}: {section}: unknown section{did_you_mean(str(section), list(known))}")
        if not isinstance(entries, dict):
            raise InputError(f"{path}: {section}: expected a mapping of settings")
        for name, value in entries.items():
            if name not in known[section]:
                near = did_you_mean(str(name), sorted(known[section]))
                raise InputError(f"{path}: {section}.{name}: unknown key{near}")
            values[name] = value
    return values


def config_yaml(settings: TrainingSettings) -> dict[str, Any]:
    """Lay the settings out as a configuration file has them."""
    values = settings.model_dump(mode="json")
    ppo = {name: values.pop(name) for name in PPOConfig.model_fields}
    return {"training": values, "ppo": ppo}
