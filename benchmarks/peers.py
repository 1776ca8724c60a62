"""Peers from the package index: an environment of their own, and a worker process in it for each.

A worker (workers/*_worker.py) reads one JSON request per line and answers with one rate, so that its
imports and warm-up are paid once and it can be measured in turn with us.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from townlet_cli.console import note, warn

HOME = Path(__file__).parent
ENVIRONMENT = HOME / ".venv"
CONSTRAINTS = HOME / "requirements.txt"
WORKERS = HOME / "workers"
PACKAGES = {
    "huggingface": ("datasets",),
    "magent2": ("magent2",),
    "minari": ("minari", "h5py", "pillow"),
    "pettingzoo": ("pettingzoo[butterfly,sisl]",),
    "pufferlib": ("pufferlib",),
    "stable_baselines3": ("torch", "stable-baselines3"),
    "torchrl": ("torch", "torchrl"),
}
# Peers that need other versions of what the rest use: an environment and pins of their own.
APART = {"pufferlib": (ENVIRONMENT / "pufferlib", HOME / "requirements-pufferlib.txt")}

Ask = Callable[..., float]  # a request's fields in, units per second out


@contextlib.contextmanager
def peer(name: str, wanted: bool) -> Iterator[Ask | None]:
    """Start the worker of one peer, installing the peer where it is missing; None where that fails.

    wanted: False yields None at once.
    """
    python = _environment(name) if wanted else None
    if python is None:
        yield None
        return
    with worker([python, str(WORKERS / f"{name}_worker.py")]) as ask:
        yield ask


@contextlib.contextmanager
def worker(command: list[str]) -> Iterator[Ask]:
    """Run a worker for the length of a block and yield the function that asks it."""
    # How threads wait is set by townlet_core, for itself: a peer runs as its own users run it.
    theirs = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=theirs, text=True
    ) as process:
        questions, answers = process.stdin, process.stdout
        assert questions is not None
        assert answers is not None

        def ask(**request: Any) -> float:
            with contextlib.suppress(BrokenPipeError):  # then there is no answer either
                print(json.dumps(request), file=questions, flush=True)
            answer = answers.readline()
            if not answer:
                raise RuntimeError(f"the worker ended without an answer: {' '.join(command)}")
            return float(json.loads(answer))

        yield ask
        with contextlib.suppress(BrokenPipeError):  # it ended before
            questions.close()  # the worker ends with its input


def _environment(name: str) -> str | None:
    """Return the Python in which a peer is installed, or None, and say why."""
    environment, constraints = APART.get(name, (ENVIRONMENT, CONSTRAINTS))
    python = str(environment / "bin" / "python")
    pins = sha256(constraints.read_bytes()).hexdigest()[:16]
    installed = environment / f"{name}-{pins}"  # an empty file, made when all is there
    if installed.exists():
        return python
    note(f"installing {name} into {environment}, once")
    install = [python, "-m", "pip", "install", "--quiet", "-c", str(constraints), *PACKAGES[name]]
    for command in ([sys.executable, "-m", "venv", str(environment)], install):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            warn(f"{name} could not be installed, so its figures are missing: {last}")
            return None
    installed.touch()
    return python
