"""The settings of a training run, and the source of each.

A value comes from the first of: a flag, a TOWNLET_* environment variable, the configuration file, the
default. In the file, the keys stand under `training:` and `ppo:`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from townlet_core import io
from townlet_core.errors import InputError, SettingsError, count, did_you_mean
from townlet_core.ppo.config import STRICT, PPOConfig
from townlet_core.ppo.options import PPOOptions, options_of
from townlet_core.training.config_file import CALLED, read_config
from townlet_core.training.options import TrainingOptions
from townlet_core.training.wording import explain

PREFIX = "TOWNLET_"
MAX_MISTAKES = 20  # shown
FILES = ("replay_manifest", "replay_sample")  # lists of paths
PLACES = ("capture_dir", "ppo_log")  # paths


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainingSettings(TrainingOptions):
    """A training run: PPO's hyperparameters and everything around them, validated."""

    @property
    def uses_recordings(self) -> bool:
        """Whether recordings are needed: for the cycles, or for the warm start before them."""
        return self.source != "rollout" or self.warm_start == "bc"

    @property
    def ppo(self) -> PPOConfig:
        """The hyperparameters alone."""
        return PPOConfig(**{name: getattr(self, name) for name in SECTIONS["ppo"]})


SETTINGS = TypeAdapter(TrainingSettings)
OPTIONS = options_of(TrainingOptions)
SECTIONS = {
    "training": [name for name in OPTIONS if name not in options_of(PPOOptions)],
    "ppo": list(options_of(PPOOptions)),
}


def resolve_settings(
    flags: dict[str, Any], config: Path | None = None, environment: bool = True
) -> tuple[TrainingSettings, dict[str, str]]:
    """Merge flags, environment, file and defaults. Returns the settings and each value's source by name.

    Raises SettingsError with every flag, variable and key that does not fit, and InputError for a flag
    without effect.
    """
    variables, mistakes = _environment() if environment else ({}, [])
    mistakes = [*_wrong(flags, _flag), *mistakes, *_wrong(variables, _variable)]
    written, found = read_config(config, SETTINGS, OPTIONS, SECTIONS) if config else ({}, [])
    mistakes += [mistake.text(str(config)) for mistake in found]
    if mistakes:
        shown = mistakes[:MAX_MISTAKES]
        if len(mistakes) > MAX_MISTAKES:
            shown.append(f"and {count(len(mistakes) - MAX_MISTAKES, 'more mistake')}")
        raise SettingsError("\n".join(shown), "docs/cli.md lists every setting with its range")
    merged: dict[str, Any] = {}
    sources = dict.fromkeys(OPTIONS, "default")
    for source, values in ((str(config), written), ("environment", variables), ("flag", flags)):
        merged |= values
        sources |= dict.fromkeys(values, source)
    settings = TrainingSettings(**merged)
    _refuse_idle(settings, flags)
    return settings, sources


def with_absolute_paths(settings: TrainingSettings, folder: Path | None = None) -> TrainingSettings:
    """Make every path absolute, to resume the run from any folder; relative ones are in `folder`.

    folder: by default the working directory.
    """
    base = (folder or Path()).absolute()
    changes: dict[str, Any] = _each_path(settings, lambda path: base / path)
    if folder is None and io.kind_of(Path(settings.scenario)) == "file":
        changes["scenario"] = str(Path(settings.scenario).absolute())
    return replace(settings, **changes)


def within(settings: TrainingSettings, folder: Path) -> TrainingSettings:
    """Make paths inside a folder relative to it, so that it can be moved; others stay absolute."""
    root = os.path.realpath(folder)

    def inside(path: Path) -> Path:
        real = os.path.join(os.path.realpath(path.parent), path.name)
        return Path(os.path.relpath(real, root)) if Path(real).is_relative_to(root) else path

    return replace(settings, **_each_path(settings, inside))


def _each_path(settings: TrainingSettings, change: Callable[[Path], Path]) -> dict[str, Any]:
    files = {name: tuple(map(change, getattr(settings, name))) for name in FILES}
    places = {name: path and change(path) for name in PLACES for path in [getattr(settings, name)]}
    return {**files, **places}


def _refuse_idle(settings: TrainingSettings, flags: dict[str, Any]) -> None:
    """Raise InputError for a flag that has no effect with these settings."""
    records = settings.uses_recordings and not (settings.replay_manifest or settings.replay_sample)
    idle = {
        "warm_start_epochs": ""
        if settings.warm_start == "bc"
        else "without --warm-start bc nothing is imitated",
        "eval_episodes": "" if settings.eval_every else "without --eval-every nothing is evaluated",
        "eval_every": ""
        if (settings.eval_every or 1) <= settings.cycles
        else f"the run has {count(settings.cycles, 'cycle')}, and nothing would be evaluated",
        "capture_towns": "" if records else "no recordings are made here",
        "capture_dir": "" if records else "no recordings are made here",
    }
    for name, reason in idle.items():
        if reason and name in flags:
            raise InputError(f"{_flag(name)}: {reason}", "leave it out")


def _wrong(values: dict[str, Any], spell: Callable[[str], str]) -> list[str]:
    """Return the mistakes in the values of flags or variables."""
    try:
        TrainingSettings(**values)
        return []
    except ValidationError as error:
        found = [explain(OPTIONS, item) for item in error.errors(include_url=False)]
        return list(dict.fromkeys(f"{spell(str(place[0]))}: {message}" for place, message in found))


def _flag(name: str) -> str:
    return "--" + {"source": "mode"}.get(name, name.replace("_", "-"))


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _environment() -> tuple[dict[str, Any], list[str]]:
    """Read the TOWNLET_* variables; also return a mistake for each that is no setting."""
    names = {_variable(name): name for name in OPTIONS}
    found, mistakes = {}, []
    for variable in sorted(name for name in os.environ if name.startswith(PREFIX)):
        if variable in names:
            found[names[variable]] = _parse_variable(names[variable], os.environ[variable])
            continue
        called = CALLED.get(variable.removeprefix(PREFIX).lower())
        near = f" (did you mean '{_variable(called)}'?)" if called else did_you_mean(variable, list(names))
        mistakes.append(f"environment variable {variable}: no such setting{near}")
    return found, mistakes


def _parse_variable(name: str, text: str) -> Any:
    """Read a variable's text: null is None, and lists of files are separated as in PATH."""
    if text == "null":
        return None
    return text.split(os.pathsep) if name in FILES else text


def config_yaml(settings: TrainingSettings) -> dict[str, Any]:
    """Return the settings in the layout of a configuration file."""
    values = SETTINGS.dump_python(settings, mode="json")
    return {section: {name: values[name] for name in names} for section, names in SECTIONS.items()}
