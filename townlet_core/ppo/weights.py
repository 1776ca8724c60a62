"""Tensors to bytes and back: digests, `model.pt` and `optimizer.pt` as data that can't carry code."""

from __future__ import annotations

import hashlib
import io as memory
import pickle
import zipfile
from typing import Any

from townlet_core.errors import InputError
from townlet_core.ppo.backend import torch


def weights_sha256(network: torch.nn.Module) -> str:
    """Return a digest of the parameters: name, shape, type and bytes of each, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape} {array.dtype.str}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def encode(state: dict[str, Any]) -> bytes:
    """Serialise a state dict in torch's zip format; equal states give equal bytes."""
    buffer = memory.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def decode(data: bytes, name: str) -> dict[str, Any]:
    """Read a state dict of tensors and plain values onto the CPU; `name` opens the message of an error.

    Raises InputError if the bytes are not torch's zip format, are compressed, are damaged, or ask for any
    code to be run.
    """
    refuse_bombs(data, name)
    try:
        state = torch.load(memory.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{name}: holds more than tensors and plain values, and is not loaded") from error
    except (RuntimeError, ValueError, KeyError, EOFError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{name}: damaged: {first_line(error)}") from error
    if not isinstance(state, dict):
        raise InputError(f"{name}: holds a {type(state).__name__}, expected a state dict")
    return state


def refuse_bombs(data: bytes, name: str) -> None:
    """Raise InputError unless this is a zip whose entries are stored as they are, so it can't grow."""
    try:
        entries = zipfile.ZipFile(memory.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise InputError(f"{name}: not a file of torch.save: {first_line(error)}") from error
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(data) for entry in entries):
        raise InputError(f"{name}: has compressed entries, expected stored ones as torch.save writes them")


def first_line(error: Exception) -> str:
    """The first line of a library's message; what follows is usually its own stack."""
    return (str(error).splitlines() or [type(error).__name__])[0]
