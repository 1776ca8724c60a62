"""Tensors to bytes and back: digests, `model.pt` and `optimizer.pt` as data that can't carry code.

What is read is believed only where it is of the names, shapes and types that the network has: torch's kernels
read as much memory as the network's own shapes say, whatever stands behind a tensor from a file.
"""

from __future__ import annotations

import hashlib
import io as memory
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

from townlet_core.errors import InputError
from townlet_core.ppo.device import torch

# All that a state dict of ours refers to. torch's own list of what is safe to load also has kinds of tensors
# (sparse, quantised) whose parts are not checked against each other.
NEEDED_GLOBALS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    *(f"torch {kind}Storage" for kind in ("Float", "Double", "Long")),
}


def weights_sha256(network: torch.nn.Module) -> str:
    """Return a digest of the parameters: name, shape, type and bytes of each, in order of name."""
    return tensors_sha256(network.state_dict())


def tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the same digest of a state dict."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
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
    refuse_other_globals(data, name)
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


def refuse_other_globals(data: bytes, name: str) -> None:
    """Raise InputError if the pickle inside refers to more than plain tensors need; nothing of it is run."""
    archive = zipfile.ZipFile(memory.BytesIO(data))
    for entry in archive.namelist():
        if not entry.endswith(".pkl"):
            continue
        try:
            for code, argument, _ in pickletools.genops(archive.read(entry)):
                if code.name == "STACK_GLOBAL" or (code.name == "GLOBAL" and argument not in NEEDED_GLOBALS):
                    raise InputError(f"{name}: holds more than tensors and plain values, and is not loaded")
        except InputError:  # a ValueError as well
            raise
        except (ValueError, IndexError, OverflowError, zipfile.BadZipFile, EOFError, struct.error) as error:
            raise InputError(f"{name}: damaged: {first_line(error)}") from error


def check_tensors(
    found: Mapping[str, Any], expected: Mapping[str, tuple[tuple[int, ...], torch.dtype]], name: str
) -> dict[str, torch.Tensor]:
    """Return contiguous copies of tensors that are of the names, shapes and types expected.

    Raises InputError naming the first that is not; `name` opens the message.
    """
    if odd := sorted(map(str, set(found) ^ set(expected))):
        what = "is missing" if odd[0] in expected else "is not part of this network"
        raise InputError(f"{name}: {odd[0][:80]} {what}")
    for key, (shape, dtype) in expected.items():
        tensor = found[key]
        if type(tensor) is not torch.Tensor or tuple(tensor.shape) != shape or tensor.dtype != dtype:
            kind = (
                f"{tensor.dtype} {tuple(tensor.shape)}" if isinstance(tensor, torch.Tensor) else "no tensor"
            )
            raise InputError(f"{name}: {key} is {kind}, expected {dtype} {shape}")
    return {key: found[key].detach().clone(memory_format=torch.contiguous_format) for key in expected}


def first_line(error: Exception) -> str:
    """Return the first line of a library's message; the rest is usually its own stack."""
    return (str(error).splitlines() or [type(error).__name__])[0]
