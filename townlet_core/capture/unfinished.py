"""The hidden folder of a capture that is being written: its plan, and what is finished of it.

    .<prefix>_blocks/plan.json     what is being captured
    .<prefix>_blocks/00001/        files of the first block
    .<prefix>_blocks/00001.json    its record, written when they are complete and durable

A block is a range of consecutive towns. A capture that was killed continues with the blocks that have no
record. The last step gives the files their names in the output folder, and removes the hidden one.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from townlet_core import io
from townlet_core.capture.folder import REPLACE
from townlet_core.capture.settings import blocks_of, towns_of
from townlet_core.errors import BusyError, InputError, MissingError
from townlet_core.locks import lock_folder
from townlet_core.shards import plan_difference

EVENTS_FILE = "events.jsonl"  # in the folder of a block
_MAX_RECORD_BYTES = 1 << 30
_RECORD = re.compile(r"([0-9]{5,})\.json")


class Unfinished:
    """The hidden folder of a capture."""

    def __init__(self, output: Path, plan: dict[str, Any]) -> None:
        self.output, self.plan = Path(output), plan
        self.folder = hidden_folder(self.output, plan["prefix"])

    def can_continue(self) -> bool:
        """Whether blocks of the same capture are here, and it is not finished."""
        is_finished = io.kind_of(self.output / f"{self.plan['prefix']}_manifest.json") is not None
        return not is_finished and self._other() == self.plan

    def refuse_other(self) -> None:
        """Raise InputError if another capture with this prefix has begun here. Versions do not count."""
        other = self._other()
        difference = None if other is None else plan_difference(other, self.plan)
        if difference is None or difference[0].startswith("versions"):
            return
        name, was, expected = difference
        raise InputError(
            f"{self.output}: holds another capture, not finished: its {name} is {was}, expected {expected}",
            REPLACE,
        )

    def begin(self) -> None:
        """Make an empty hidden folder for this capture."""
        io.remove(self.folder)
        io.write_json(self.folder / "plan.json", self.plan)

    def clean(self) -> None:
        """Remove what has no record: files of a block that was not finished."""
        kept = {"plan.json"}
        for block in self.finished():
            kept |= {self.name(block), f"{self.name(block)}.json"}
        for name in io.list_folder(self.folder):
            if name not in kept:
                io.remove(self.folder / name)

    def name(self, block: int) -> str:
        """Return the name of a block's folder; blocks are numbered from 0 in code, from 1 in names."""
        return f"{block + 1:05d}"

    def files(self, block: int) -> Path:
        """Return the folder of a block's files."""
        return self.folder / self.name(block)

    def finished(self) -> list[int]:
        """Return the blocks with a record, in order."""
        names = filter(None, map(_RECORD.fullmatch, io.list_folder(self.folder)))
        return sorted(int(match[1]) - 1 for match in names)

    def missing(self) -> list[int]:
        """Return the blocks without a record, in order."""
        return sorted(set(blocks_of(self.plan)) - set(self.finished()))

    def finished_towns(self) -> int:
        """Return how many towns are in finished blocks."""
        return sum(len(towns_of(self.plan, block)) for block in self.finished())

    def save(self, block: int, record: dict[str, Any]) -> None:
        """Write the record of a block whose files are complete and durable."""
        io.write_json(self.folder / f"{self.name(block)}.json", record)

    def load(self, block: int) -> dict[str, Any]:
        """Read the record of a block."""
        record: dict[str, Any] = io.read_json(self.folder / f"{self.name(block)}.json", _MAX_RECORD_BYTES)
        return record

    def _other(self) -> dict[str, Any] | None:
        """Return the plan that is here; None if there is none that can be read."""
        try:
            plan = io.read_json(self.folder / "plan.json")
        except (InputError, MissingError):
            return None
        return plan if isinstance(plan, dict) else None


def hidden_folder(output: Path, prefix: str) -> Path:
    """Return the hidden folder of a capture that is being written to `output`."""
    return output / f".{prefix}_blocks"


def discard_remains(output: Path, prefix: str) -> None:
    """Remove the hidden folder of a finished capture, which was killed before it could do so."""
    if io.kind_of(hidden_folder(output, prefix)):
        with contextlib.suppress(BusyError), lock_folder(output):
            io.remove(hidden_folder(output, prefix))
