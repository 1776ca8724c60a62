"""What the shell offers for the values of options and arguments: scenarios, runs, captures, pages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from townlet_cli.policies import FRESH, SCRIPTS
from townlet_cli.training_settings import project_folder
from townlet_core.errors import TownletError

Offer = Callable[[], Iterable[str]]
MOST = 200  # names of a folder


def scenarios() -> list[str]:
    """Offer the bundled scenarios and the YAML files here."""
    from townlet_core.scenario.catalogue import SUFFIXES, bundled_scenarios

    return [*bundled_scenarios(), *(str(path) for path in _entries(Path()) if path.suffix in SUFFIXES)]


def runs() -> list[str]:
    """Offer the runs below runs/, or the folder that townlet.toml names."""
    return [str(path) for path in _entries(project_folder("runs")) if _is_file(path / "run.json")]


def captures() -> list[str]:
    """Offer the folders below captures/, or the folder that townlet.toml names."""
    return [str(path) for path in _entries(project_folder("captures"))]


def policies() -> list[str]:
    """Offer the scripts and the runs."""
    return [*SCRIPTS, *runs()]


def critics() -> list[str]:
    """Offer what --score takes."""
    return [FRESH, *runs()]


def pages() -> list[str]:
    """Offer the pages of the documentation."""
    from townlet_cli.docs import topics

    return list(topics())


# By the name of the parameter, in whatever command it is. Names of files are the shell's own business.
OFFERS: dict[str, Offer] = {
    "scenario": scenarios,
    "files": scenarios,
    "resume": runs,
    "run": runs,
    "runs": runs,
    "log": runs,
    "logs": runs,
    "policy": policies,
    "policies": policies,
    "score": critics,
    "path": captures,
    "paths": captures,
    "replay_manifest": captures,
    "topic": pages,
}


def offers_for(parameter: Any) -> Offer | None:
    """Return what lists the values of a parameter, if something does."""
    return scenarios if parameter.metavar == "NAME|FILE" else OFFERS.get(parameter.name)


def offer(context: Any, parameter: Any, incomplete: str) -> list[str]:
    """Return what the shell may offer for a parameter; a folder that cannot be read offers nothing."""
    find = offers_for(parameter)
    try:
        names = list(find() if find else ())
    except TownletError:
        return []
    return [name for name in names[:MOST] if name.startswith(incomplete)]


def is_completing() -> bool:
    """Whether the shell asks what it may offer, in Typer's variable; to fish the exit code is an answer."""
    return bool(os.environ.get("_TOWNLET_COMPLETE"))


def _entries(folder: Path) -> list[Path]:
    from townlet_core import io

    return [folder / name for name in io.list_folder(folder) if not name.startswith(".")]


def _is_file(path: Path) -> bool:
    from townlet_core import io

    return io.kind_of(path) == "file"
