"""Compile every kernel once, side by side, so that no two tests compile the same one.

What `make setup` and `make test` run first, and what `townlet compile` does. Kernels that are on the disk
already are only loaded, which takes some seconds.
"""

from __future__ import annotations

from townlet_core.compilation import Compiled, compile_kernels


def show(compiled: Compiled) -> None:
    print(f"compiled {compiled.kernel}: {compiled.seconds:.1f} s", flush=True)


if __name__ == "__main__":
    compile_kernels(show)
