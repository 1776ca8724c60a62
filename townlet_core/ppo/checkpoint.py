"""Checkpoints: generation folders that are never overwritten, and the small files that name one of them.

    checkpoints/g000012/{model.pt, optimizer.pt, state.json, …, files.json}
    checkpoints/{latest, best, cycle000007}.json
        {"generation": "g000012", "files": {name: {"sha256", "bytes"}}}

A generation is written under a temporary name and renamed when whole; only then does `latest.json` change.
A crash at any point therefore leaves `latest.json` naming a whole generation.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from townlet_core import io
from townlet_core.errors import InputError, MissingError, MissingFileError, count, shown
from townlet_core.ppo.config import MAX_PARAMETERS, NetworkConfig
from townlet_core.ppo.device import torch, versions
from townlet_core.ppo.network import ActorCritic, tensor_shapes
from townlet_core.ppo.serialization import check_tensors, decode, encode, tensors_sha256, weights_sha256
from townlet_core.ppo.wrong_field import wrong_field

CHECKPOINT_VERSION: Literal["1.0"] = "1.0"
MAX_FILE_BYTES = 8 * MAX_PARAMETERS + (16 << 20)  # Adam's two moments of the largest network, and their names
MODEL, OPTIMIZER, STATE, FILES = "model.pt", "optimizer.pt", "state.json", "files.json"
LATEST, BEST = "latest.json", "best.json"
GENERATION = r"g\d{6,18}"
KEPT = r"cycle\d{6,18}\.json"  # names a generation that stays
HINT = "name a run directory, its checkpoints folder, or one generation in it"

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$")]
Model = TypeVar("Model", bound=BaseModel)


class FileEntry(BaseModel):
    """Digest and size of a file."""

    sha256: str
    bytes: int = Field(ge=0)


class Pointer(BaseModel):
    """The content of latest.json, best.json and a generation's own files.json."""

    generation: Annotated[str, StringConstraints(pattern=f"^{GENERATION}$")]
    files: dict[FileName, FileEntry] = Field(max_length=64)


class StateFile(BaseModel):
    """The content of state.json."""

    checkpoint_version: Literal["1.0"] = CHECKPOINT_VERSION
    versions: dict[str, str]
    network: NetworkConfig
    weights_sha256: str
    state: dict[str, Any]  # the caller's counters and configuration


class Checkpoint(NamedTuple):
    """One generation, read and verified."""

    folder: Path
    metadata: StateFile
    weights: dict[str, torch.Tensor]
    optimizer: dict[str, Any] | None  # None where a folder holds the model alone
    extra: dict[str, bytes]  # the caller's files
    warnings: list[str]  # damaged generations that were skipped, files that could not be verified

    @property
    def state(self) -> dict[str, Any]:
        """The `state` given to save_checkpoint."""
        return self.metadata.state


def save_checkpoint(
    checkpoints: Path,
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    extra: dict[str, bytes] | None = None,
    keep: int = 2,
    best: Path | None = None,
    is_best: bool = False,
    kept: str | None = None,
) -> Path:
    """Write a new generation, name it in latest.json, and return its folder.

    state: counters and configuration, plain JSON values. extra: further files by name. best: folder of an
    older generation, to be named in best.json from now on; is_best: the new one is. kept: a further name of
    the new one, such as cycle000007.json. Of the older generations the newest whole ones stay, `keep` with
    the new one, and any that has a name.
    Raises DiskError where the disk refuses; the previous checkpoints and pointers are then intact.
    """
    metadata = StateFile(
        versions=versions(),
        network=network.config,
        weights_sha256=weights_sha256(network),
        state=state,
    )
    contents = {
        MODEL: encode(network.state_dict()),
        OPTIMIZER: encode(optimizer.state_dict()),
        STATE: io.dump_json(metadata.model_dump(mode="json")),
        **(extra or {}),
    }
    checkpoints = Path(checkpoints)
    pointer = write_generation(checkpoints, contents)
    # The latest last: after a crash in between, the resumed run writes the best again.
    if kept:
        io.write_json(checkpoints / kept, pointer.model_dump())
    if is_best:
        best = checkpoints / pointer.generation
    if best:
        io.write_file(checkpoints / BEST, io.read_file(best / FILES))
    io.write_json(checkpoints / LATEST, pointer.model_dump())
    prune(checkpoints, keep)
    return checkpoints / pointer.generation


def write_generation(checkpoints: Path, contents: dict[str, bytes]) -> Pointer:
    """Write a folder of files under the next generation number and return its pointer."""
    newest = max((int(name[1:]) for name in generations(checkpoints)), default=0)
    final = checkpoints / f"g{newest + 1:06d}"
    entries = {name: FileEntry(sha256=io.sha256(data), bytes=len(data)) for name, data in contents.items()}
    pointer = Pointer(generation=final.name, files=entries)
    temporary = checkpoints / f".{final.name}.tmp"
    io.remove(temporary)
    for name, data in contents.items():
        io.write_file(temporary / name, data)
    io.write_json(temporary / FILES, pointer.model_dump())
    io.rename_folder(temporary, final)
    return pointer


def generations(checkpoints: Path) -> list[str]:
    """Names of the generation folders, newest first."""
    names = [name for name in io.list_folder(checkpoints) if re.fullmatch(GENERATION, name)]
    return sorted(names, key=lambda name: -int(name[1:]))


def prune(checkpoints: Path, keep: int) -> None:
    """Remove half-written folders, and all but the newest `keep` intact generations and those with a name."""
    names = io.list_folder(checkpoints)
    pointers = [name for name in names if name in (LATEST, BEST) or re.fullmatch(KEPT, name)]
    named = {named_by(checkpoints / name) for name in pointers}
    for name in names:
        if name.startswith(".") and name.endswith(".tmp"):
            io.remove(checkpoints / name)
    kept = 0
    for name in generations(checkpoints):
        if kept < keep and is_whole(checkpoints / name):
            kept += 1
        elif name not in named:
            io.remove(checkpoints / name)


def is_whole(generation: Path) -> bool:
    """Return whether every file of a generation is as it was written."""
    try:
        read_files(generation, read_model(generation / FILES, Pointer), MAX_FILE_BYTES)
    except (InputError, MissingError):
        return False
    return True


def named_by(path: Path) -> str | None:
    """Return the generation that latest.json or best.json names; None where it is missing or damaged."""
    try:
        return read_model(path, Pointer).generation
    except (InputError, MissingError):
        return None


def load_checkpoint(path: Path, max_bytes: int = MAX_FILE_BYTES) -> Checkpoint:
    """Read a checkpoint and verify the digest of every file.

    path: a run directory or its checkpoints folder (the latest), best.json or latest.json there, or a folder
    that holds model.pt. Where latest or best names a damaged generation, the newest whole one is read
    instead and `warnings` says so.
    Raises MissingError where there is no checkpoint, InputError where none is whole or a file is larger than
    `max_bytes`.
    """
    path = Path(path)
    if path.suffix == ".json" and io.kind_of(path) == "file":
        return load_named(path, max_bytes)
    if io.kind_of(path / FILES):
        return read_generation(path, read_model(path / FILES, Pointer), max_bytes)
    if io.kind_of(path / MODEL):
        return read_unverified(path, max_bytes)
    checkpoints = path / "checkpoints" if io.kind_of(path / "checkpoints") == "folder" else path
    return load_named(checkpoints / LATEST, max_bytes)


def load_named(pointer_path: Path, max_bytes: int) -> Checkpoint:
    """Read the generation that a pointer names, or else the newest whole one, with a warning."""
    checkpoints = pointer_path.parent
    warnings: list[str] = []
    try:
        pointer = read_model(pointer_path, Pointer)
        return read_generation(checkpoints / pointer.generation, pointer, max_bytes)
    except (InputError, MissingError) as error:
        warnings.append(str(error))
    for name in generations(checkpoints):
        try:
            own = read_model(checkpoints / name / FILES, Pointer)
            checkpoint = read_generation(checkpoints / name, own, max_bytes)
        except (InputError, MissingError) as error:
            warnings.append(str(error))
        else:
            return checkpoint._replace(
                warnings=[*dict.fromkeys(warnings), f"{checkpoints}: using generation {name} instead"]
            )
    if len(warnings) == 1 and not io.kind_of(pointer_path):
        raise MissingFileError(f"{checkpoints}: no checkpoint here", HINT)
    raise InputError(f"{checkpoints}: no generation is whole: " + "; ".join(dict.fromkeys(warnings)), HINT)


def read_model(path: Path, model: type[Model]) -> Model:
    """Read a small JSON file into a pydantic model; InputError names the file and the first wrong place."""
    return parse_model(io.read_file(path), path, model)


def parse_model(data: bytes, path: Path, model: type[Model]) -> Model:
    """Read JSON as a model. Raises InputError with the place of the first mistake."""
    try:
        return model.model_validate(io.parse_json(data, str(path)))
    except ValidationError as error:
        raise InputError(f"{path}: {wrong_field(error)}") from error


def read_files(generation: Path, pointer: Pointer, max_bytes: int) -> dict[str, bytes]:
    """Read every file the pointer lists. Raises InputError at the first that is not as it was written."""
    contents = {}
    for name, entry in pointer.files.items():
        data = io.read_file(generation / name, max_bytes)
        if len(data) != entry.bytes or io.sha256(data) != entry.sha256:
            raise InputError(
                f"{generation / name}: damaged: {len(data):,} bytes with another sha256 than the "
                f"{entry.bytes:,} that were written"
            )
        contents[name] = data
    return contents


def read_generation(generation: Path, pointer: Pointer, max_bytes: int) -> Checkpoint:
    """Read a checkpoint whose files are listed with their digests."""
    return decode_contents(generation, read_files(generation, pointer, max_bytes), [])


def read_unverified(folder: Path, max_bytes: int) -> Checkpoint:
    """Read a folder assembled by hand: model.pt and state.json, perhaps optimizer.pt."""
    present = [name for name in (MODEL, OPTIMIZER, STATE) if io.kind_of(folder / name)]
    contents = {name: io.read_file(folder / name, max_bytes) for name in present}
    return decode_contents(folder, contents, [f"{folder}: has no {FILES}, so its files were not verified"])


def decode_contents(folder: Path, contents: dict[str, bytes], warnings: list[str]) -> Checkpoint:
    """Build a checkpoint from the bytes of its files. Raises MissingError without weights or state."""
    for name in (MODEL, STATE):
        if name not in contents:
            raise MissingFileError(f"{folder / name}: no such file, and a checkpoint needs it", HINT)
    metadata = parse_state(contents[STATE], folder / STATE)
    optimizer = contents.get(OPTIMIZER)
    return Checkpoint(
        folder=folder,
        metadata=metadata,
        weights=decode_weights(contents[MODEL], str(folder / MODEL), metadata),
        optimizer=decode(optimizer, str(folder / OPTIMIZER)) if optimizer is not None else None,
        extra={name: data for name, data in contents.items() if name not in (MODEL, OPTIMIZER, STATE)},
        warnings=warnings,
    )


def parse_state(data: bytes, path: Path) -> StateFile:
    """Read state.json. Raises InputError if it does not fit, or is of a later version."""
    raw = io.parse_json(data, str(path))
    version = (
        raw.get("checkpoint_version", CHECKPOINT_VERSION) if isinstance(raw, dict) else CHECKPOINT_VERSION
    )
    if version != CHECKPOINT_VERSION:
        raise InputError(
            f"{path}: checkpoint_version is {shown(version, 40)}, this Townlet reads {CHECKPOINT_VERSION!r}",
            "use the version of Townlet that wrote it",
        )
    return parse_model(data, path, StateFile)


def decode_weights(data: bytes, name: str, metadata: StateFile) -> dict[str, torch.Tensor]:
    """Read model.pt. Raises InputError unless it holds the weights that state.json describes."""
    found = decode(data, name)
    statistics = {str(key).partition(".")[0] for key in found}
    shapes = tensor_shapes(metadata.network, "observations" in statistics, "returns" in statistics)
    weights = check_tensors(found, shapes, f"{name}: does not fit {STATE} beside it")
    digest = tensors_sha256(weights)
    if digest != metadata.weights_sha256:
        raise InputError(
            f"{name}: its weights have sha256 {digest[:12]}…, {STATE} says {metadata.weights_sha256[:12]}…",
            "restore both from the same checkpoint",
        )
    return weights


def restore_network(checkpoint: Checkpoint, device: str | torch.device = "cpu") -> ActorCritic:
    """Build the network that was saved, with its running statistics if it had any."""
    statistics = {name.partition(".")[0] for name in checkpoint.weights}
    network = ActorCritic(
        checkpoint.metadata.network,
        seed=None,
        normalise_observations="observations" in statistics,
        normalise_returns="returns" in statistics,
    )
    network.load_state_dict(checkpoint.weights)
    return network.to(device)


def restore_optimizer(checkpoint: Checkpoint, optimizer: torch.optim.Optimizer) -> None:
    """Put the saved momenta into the restored network's optimizer. Raises InputError if they don't fit."""
    if checkpoint.optimizer is None:
        raise InputError(f"{checkpoint.folder}: has no {OPTIMIZER}, so training can't continue from it", HINT)
    name = str(checkpoint.folder / OPTIMIZER)
    own = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    saved = checkpoint.optimizer.get("state")
    if not isinstance(saved, dict) or (saved and sorted(saved, key=str) != list(range(len(parameters)))):
        raise InputError(
            f"{name}: does not fit the network: expected the state of {count(len(parameters), 'parameter')}"
        )
    # Of the file, only the momenta: rates and other settings are the run's own.
    state = {i: check_momenta(saved[i], parameters[i], f"{name}: parameter {i}") for i in saved}
    optimizer.load_state_dict({**own, "state": state})


def check_momenta(saved: Any, parameter: torch.Tensor, name: str) -> dict[str, torch.Tensor]:
    """Return Adam's state of one parameter. Raises InputError if it is not of this parameter's shape."""
    if not isinstance(saved, dict):
        raise InputError(f"{name}: is a {type(saved).__name__}, expected Adam's state")
    like = (tuple(parameter.shape), parameter.dtype)
    shapes = {"step": ((), torch.float32), "exp_avg": like, "exp_avg_sq": like}
    state = check_tensors(saved, shapes, name)
    if not (torch.isfinite(state["step"]) and state["step"] >= 0 and (state["exp_avg_sq"] >= 0).all()):
        raise InputError(f"{name}: holds a step or a mean square below 0")
    return state
