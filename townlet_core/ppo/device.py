"""The only import of torch; devices, threads, precision, arrays to tensors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import llvmlite.binding
import numba
import numpy as np

from townlet_core import __version__
from townlet_core.cpus import available_cpus
from townlet_core.errors import MissingError, MissingLibraryError
from townlet_core.ppo.options import Precision

ALIGNMENT = 64  # bytes, of what torch allocates
# A number of threads that the user chose stays: with a variable, or in a program that loaded torch before.
_MAY_BOUND = "torch" not in sys.modules and os.environ.keys().isdisjoint(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
)

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingLibraryError("torch is not installed, and learning needs it", "pip install torch") from error

if _MAY_BOUND and torch.get_num_threads() > available_cpus():  # it knows of affinity, not of quotas
    torch.set_num_threads(available_cpus())

# A forked process has none of its parent's threads, and torch would wait for them.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def resolve_device(name: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device; `auto` takes a GPU where there is one.

    Raises MissingError for `cuda` without a GPU.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise MissingError("device is cuda, but torch finds no GPU here", "use --device cpu or --device auto")
    return torch.device(name)


def gpu_names() -> list[str]:
    """Name the GPUs that torch can use, in their order."""
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def versions() -> dict[str, str]:
    """Versions that may change bits: Townlet, numerical libraries, the processor and torch's use of it."""
    return {
        "townlet": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "numba": numba.__version__,
        "processor": f"{llvmlite.binding.get_host_cpu_name()}, {torch.backends.cpu.get_cpu_capability()}",
    }


def settle_threads(is_alone: bool = True) -> None:
    """Start numba's threads, if they are not; torch's stay as they are.

    Both may share one OpenMP. Then the first towns that are played in parallel would give torch as many
    threads as numba has, in the middle of a run. is_alone: if not, a launcher has given torch the share of
    one process among several, and numba gets no more.
    """
    count, of_numba = torch.get_num_threads(), numba.get_num_threads()
    numba.set_num_threads(of_numba if is_alone else min(of_numba, count))
    torch.set_num_threads(count)


def use_one_thread() -> None:
    """Give torch one thread in this process from now on, so that threads decide about no bits."""
    torch.set_num_threads(1)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run a block on `count` CPU threads.

    The bits of a matrix product depend on how many threads shared it; equal bits need equal counts.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def arithmetic(precision: Precision, device: torch.device) -> torch.autocast:
    """Autocast a block to bf16, or compute everything in fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def aligned(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor that begins where torch's own do, copied if need be.

    The last bits of a product of few rows depend on where they lie in memory, and so on the rows before them.
    """
    return tensor.clone() if tensor.data_ptr() % ALIGNMENT else tensor


def to_tensor(array: np.ndarray, device: torch.device, dtype: type | None = None) -> torch.Tensor:
    """Move an array to the device; on the CPU the memory is shared unless it is read-only or strided."""
    return torch.from_numpy(np.require(array, dtype=dtype, requirements=["C", "W"])).to(device)
