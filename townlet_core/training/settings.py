"""The settings of a training run, and the source of each.

A value comes from the first of: --set, a flag, a TOWNLET_* environment variable, the configuration file,
townlet.toml, the default. In files, the keys stand under `training:` and `ppo:`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from townlet_core import io
from townlet_core.cache import SHARED
from townlet_core.errors import InputError, SettingsError, count, did_you_mean
from townlet_core.ppo.config import STRICT, PPOConfig
from townlet_core.ppo.options import PPOOptions, options_of
from townlet_core.training.config_file import CALLED, Schema, Written, read_config, read_sets, read_tree
from townlet_core.training.options import TrainingOptions
from townlet_core.training.project import PATHS, PROJECT, Project
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


class Source(str):
    """Where a value came from: `default`, `environment`, `flag`, `--set` or a file; and its place there."""

    place: str

    def __new__(cls, kind: str, place: str = "") -> Self:
        """Make the source of a value; the place is its variable, its flag, or file and line."""
        made = super().__new__(cls, kind)
        made.place = place or kind
        return made


SECTIONS = {
    "training": [name for name in OPTIONS if name not in options_of(PPOOptions)],
    "ppo": list(options_of(PPOOptions)),
}
SECTION_OF = {name: section for section, names in SECTIONS.items() for name in names}
SCHEMA = Schema(SETTINGS, OPTIONS, SECTIONS)
NO_PROJECT = Project(None, PATHS, {}, [])


def resolve_settings(
    flags: dict[str, Any],
    config: Path | None = None,
    environment: bool = True,
    sets: Sequence[str] = (),
    project: Project = NO_PROJECT,
    instead: dict[str, Any] | None = None,
) -> tuple[TrainingSettings, dict[str, Source]]:
    """Merge all that decides about settings. Returns them, and each value's source by name.

    sets: SECTION.KEY=VALUE. project: from read_project. instead: values that take the place of those of
    `config`; with None, those of townlet.toml or the default do.
    Raises SettingsError with every flag, variable and key that does not fit, and InputError for a flag
    without effect.
    """
    variables, wrong = _environment() if environment else ({}, [])
    base = read_tree(project.tree, project.mistakes, SCHEMA)
    written = read_config(config, SCHEMA) if config else Written({}, {}, [])
    given = read_sets(sets, SCHEMA)
    mistakes = [mistake.text("--set") for mistake in given.mistakes]
    mistakes += [*_wrong(flags, _flag), *wrong, *_wrong(variables, _variable)]
    mistakes += [mistake.text(str(config)) for mistake in written.mistakes]
    mistakes += [mistake.text(str(PROJECT)) for mistake in base.mistakes]
    if mistakes:
        shown = mistakes[:MAX_MISTAKES]
        if len(mistakes) > MAX_MISTAKES:
            shown.append(f"and {count(len(mistakes) - MAX_MISTAKES, 'more mistake')}")
        raise SettingsError("\n".join(shown), "townlet train --help-all lists every setting with its range")
    own = {name: value for name, value in written.values.items() if name not in (instead or {})}
    own |= {name: value for name, value in (instead or {}).items() if value is not None}
    layers = (
        (str(PROJECT), base.values, lambda name: f"{PROJECT}:{base.lines[name]}"),
        (str(config), own, lambda name: f"{config}:{written.lines[name]}"),
        ("environment", variables, _variable),
        ("flag", flags, _flag),
        ("--set", given.values, lambda name: f"--set {SECTION_OF[name]}.{name}"),
    )
    merged: dict[str, Any] = {}
    sources = {name: Source("default") for name in OPTIONS}
    for kind, values, place in layers:
        merged |= values
        sources |= {name: Source(kind, place(name)) for name in values}
    settings = TrainingSettings(**merged)
    _refuse_idle(settings, {**flags, **given.values})
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
        "track_names": "without --track nothing is written" if settings.track == "none" else "",
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
    for variable in sorted(name for name in os.environ if name.startswith(PREFIX) and name != SHARED):
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
