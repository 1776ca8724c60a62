"""`townlet compile`: make the machine code that other commands would make at their first use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.console import count, note, out, print_json, safe

if TYPE_CHECKING:
    from townlet_core.compilation import Compiled


def compile_command(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compile all kernels into the cache, for an image or a cluster; what is there is not compiled again."""
    from townlet_core.cache import cache_folders, cache_size
    from townlet_core.compilation import compile_kernels
    from townlet_core.kernels import find_writable_cache
    from townlet_core.simulation.towns import is_compiled_for

    if not is_compiled_for(1):
        find_writable_cache()  # raises, so that nobody waits for what would be lost
    start = time.monotonic()
    compiled = compile_kernels(_note_compiled)
    seconds = time.monotonic() - start
    caches = [(folder, *cache_size(folder)) for folder in cache_folders()]
    if json:
        kernels = [kernel._asdict() for kernel in compiled]
        places = [{"folder": str(folder), "files": files, "bytes": size} for folder, files, size in caches]
        print_json({"compiled": kernels, "seconds": seconds, "caches": places})
        return
    made = f"compiled {count(len(compiled), 'kernel')}" if compiled else "every kernel is in the cache"
    out.print(f"{made}: {seconds:.0f} s")
    for folder, files, size in caches:
        out.print(f"cache: {safe(folder)}: {count(files, 'file')}, {size / 1e6:.1f} MB", soft_wrap=True)


def _note_compiled(compiled: Compiled) -> None:
    note(f"compiled {compiled.kernel}: {compiled.seconds:.1f} s")
