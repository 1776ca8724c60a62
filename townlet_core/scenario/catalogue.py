"""The bundled scenarios, and the file that a name or path refers to."""

from __future__ import annotations

from pathlib import Path

from townlet_core import io
from townlet_core.errors import InputError, did_you_mean, shown
from townlet_core.inputs import GZIP, STDIN

SUFFIXES = (".yaml", ".yml")


def find_scenario(name_or_path: str | Path) -> Path:
    """Return the file of a scenario: a path if it looks like one or exists, else a bundled name.

    `-` is stdin. Raises InputError naming the nearest scenario if no bundled one has this name.
    """
    path = Path(name_or_path)
    is_named = path == STDIN or path.suffix in (*SUFFIXES, GZIP)
    if is_named or len(path.parts) > 1 or io.kind_of(path) == "file":
        return path
    bundled, name = bundled_scenarios(), str(name_or_path)
    if name not in bundled:
        raise InputError(
            f"no scenario is called {shown(name)}{did_you_mean(name, list(bundled))}",
            "see them all with: townlet scenario list",
        )
    return bundled[name]


def bundled_scenarios() -> dict[str, Path]:
    """Return the file of every bundled scenario by name."""
    installed = Path(__file__).parent / "bundled"
    # An editable install has them at the top of the repository, where they are edited.
    folder = installed if io.kind_of(installed) else Path(__file__).parents[2] / "scenarios"
    paths = [folder / name for name in io.list_folder(folder)]
    return {path.stem: path for path in paths if path.suffix == ".yaml"}
