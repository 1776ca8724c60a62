"""Sweep the disk: build the fault injector, preload it, and play the stories. What `make sweep` runs.

Every operation of every story is hit three times, by a kill, by an error, and by an error that stays. Takes
some minutes; the options are those of stories.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def compiler() -> str | None:
    """The C compiler of this machine, if it has one."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def sweep(options: list[str], **streams: int) -> subprocess.CompletedProcess[str]:
    """Play the stories in a process that has the fault injector under it."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "fault.so"
        command = [str(compiler()), "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library)]
        subprocess.run([*command, str(HERE / "fault.c"), "-ldl"], check=True)
        roots = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TOWNLET_")},
            "LD_PRELOAD": str(library),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([*roots, os.environ.get("PYTHONPATH", "")]),
        }
        return subprocess.run(
            [sys.executable, str(HERE / "stories.py"), *options], env=environment, text=True, **streams
        )


def main() -> int:
    if compiler() is None:
        print("error: the sweep needs a C compiler, such as cc or gcc", file=sys.stderr)
        return 3
    return sweep(sys.argv[1:]).returncode


if __name__ == "__main__":
    sys.exit(main())
