"""`townlet replay merge` of the shards of one capture: the capture that one machine would have written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from townlet_cli.console import command, count, next_step, out, print_json, safe
from townlet_core.errors import InputError


def are_capture_shards(paths: Sequence[Path]) -> bool:
    """Whether every path is a folder that `capture --shard` has written."""
    from townlet_core.capture.join import is_capture_shard

    return all(is_capture_shard(path) for path in paths)


def join(
    paths: Sequence[Path], output: Path | None, refused: dict[str, object], force: bool, json: bool
) -> None:
    """Join the shards of a capture. refused: options of merge by name, which do not apply if given."""
    from townlet_core.capture.join import join_shards

    if given := [name for name, value in refused.items() if value]:
        raise InputError(
            f"--{given[0]} does not apply to the shards of a capture, whose bytes are settled",
            "leave it out, or join them first and then convert the result",
        )
    if output is None:
        raise InputError("--output: is missing, expected a folder to write to", "choose a new one")
    joined = join_shards(paths, output, force=force)
    if json:
        print_json({"manifest": str(joined.manifest), "shards": len(paths), "totals": joined.totals})
        return
    out.print(f"joined {count(len(paths), 'shard')} to the capture of one machine")
    out.print(f"manifest: {safe(joined.manifest)}")
    next_step(command("replay", "validate", joined.manifest))
