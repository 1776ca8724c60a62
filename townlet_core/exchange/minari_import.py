"""Import offline data from a Minari dataset on this machine (docs/exchange.md, Import)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core import io
from townlet_core.addresses import refuse_address
from townlet_core.errors import InputError, MissingFileError, TownletError, count
from townlet_core.exchange.imported import ForeignEpisode, write_import
from townlet_core.exchange.libraries import check_version, missing
from townlet_core.exchange.mapping import load_mapping
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits

_NEEDED_BY = "import from Minari"
try:
    import h5py
    import minari

    check_version(minari, _NEEDED_BY)
except ModuleNotFoundError as error:
    raise missing(error, _NEEDED_BY) from error

_FILE = "main_data.hdf5"


def import_minari(
    path: Path | str,
    mapping: Path | str,
    output: Path | str,
    force: bool = False,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> dict[str, Any]:
    """Write samples of a Minari dataset: its folder, or the id of one that was downloaded before.

    mapping: the mapping file. The observation after the last tick of an episode is left out: a sample has
    none. Returns what was written. Raises InputError for data or a mapping that is not usable, MissingError
    or DiskError.
    """
    for place in (path, output):
        refuse_address(place)
    plan = load_mapping(mapping)
    folder = _data_folder(Path(path))
    metadata = _check_metadata(folder, limits)
    origin = {"format": "minari", "name": str(metadata.get("dataset_id") or folder.parent.name)[:200]}
    origin["sha256"] = str(io.file_digest(folder / _FILE)["sha256"])
    return write_import(_episodes(folder, metadata["total_episodes"], limits), plan, output, origin, force)


def _data_folder(path: Path) -> Path:
    """Return the folder with `metadata.json`. Raises MissingFileError."""
    root = os.environ.get("MINARI_DATASETS_PATH") or os.path.expanduser("~/.minari/datasets")
    for folder in (path, path / "data", Path(root) / path / "data"):
        if io.kind_of(folder / "metadata.json") == "file":
            return folder
    raise MissingFileError(
        f"{path}: is no Minari dataset, neither its folder nor the id of one; looked in {root}",
        "download it with `minari download`, which needs the network",
    )


def _check_metadata(folder: Path, limits: ReadLimits) -> dict[str, Any]:
    """Read the metadata, and refuse what would run code or has another form."""
    place, metadata = folder / "metadata.json", io.read_json(folder / "metadata.json")
    if not isinstance(metadata, dict) or not all(
        isinstance(metadata.get(key), str) for key in ("observation_space", "action_space")
    ):  # Minari would make the environment that the file names
        raise InputError(f"{place}: has no observation_space or no action_space")
    if metadata.get("data_format") != "hdf5":
        raise InputError(f"{place}: its data_format is not hdf5, the only one that is read here")
    total = metadata.get("total_episodes")
    if type(total) is not int or not 0 < total <= limits.max_samples:
        raise InputError(f"{place}: total_episodes is not a number from 1 to {limits.max_samples:,}")
    return metadata


def _episodes(folder: Path, total: int, limits: ReadLimits) -> Iterator[ForeignEpisode]:
    """Read episode by episode, each after its size is checked."""
    place = folder / _FILE
    try:
        dataset = minari.MinariDataset(folder)
        for number in range(total):
            _check_size(place, number, limits)
            yield _convert(dataset[number])
    except (TownletError, GeneratorExit):
        raise
    except Exception as error:  # of damaged data, the libraries raise anything
        raise InputError(f"{place}: Minari cannot read it: {type(error).__name__}: {error}") from error


def _check_size(place: Path, number: int, limits: ReadLimits) -> None:
    """Refuse an episode that takes too much memory, or leads to other files."""
    declared, key = 0, f"episode_{number}"

    def add(_: str, found: Any) -> str | None:
        nonlocal declared
        if not isinstance(found, h5py.Dataset):
            return None
        declared += found.size * found.dtype.itemsize
        return key if found.external or found.is_virtual else None

    with h5py.File(place, "r") as file:
        outside = _is_link(key, file.get(key, getlink=True)) or file[key].visititems_links(_is_link)
        if outside or file[key].visititems(add):
            raise InputError(f"{place}: {key} has a link, or data in another file, which is not followed")
    if declared > limits.max_array_bytes:
        most = f"{limits.max_array_bytes:,}"
        raise InputError(f"{place}: {key} takes {declared:,} bytes, expected at most {most}")


def _is_link(name: str, link: Any) -> str | None:
    """Return the name if the entry is a link to another place or file."""
    return name if isinstance(link, h5py.ExternalLink | h5py.SoftLink) else None


def _convert(episode: Any) -> ForeignEpisode:
    terminations, truncations = (
        np.asarray(ends).astype(bool) for ends in (episode.terminations, episode.truncations)
    )
    rewards = np.asarray(episode.rewards)
    if not rewards.ndim == terminations.ndim == truncations.ndim == 1:
        raise InputError(f"episode {episode.id}: rewards, terminations and truncations are not one per tick")
    if not len(rewards) == len(terminations) == len(truncations) or not len(rewards):
        ticks = count(len(rewards), "reward")
        raise InputError(f"episode {episode.id}: has {ticks} and {len(terminations)} ends, expected as many")
    arrays = {"observation": _tree(episode.observations), "action": _tree(episode.actions)}
    arrays["infos"] = _tree(episode.infos or {})
    return ForeignEpisode(arrays, rewards, terminations, truncations & ~terminations)


def _tree(value: Any) -> Any:
    """Return dicts of arrays; the parts of a tuple are called 0, 1 and so on."""
    if isinstance(value, tuple):
        value = {str(i): part for i, part in enumerate(value)}
    return {name: _tree(part) for name, part in value.items()} if isinstance(value, dict) else value
