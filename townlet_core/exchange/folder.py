"""The folder of an export or of imported samples: new, or in the place of one that Townlet wrote."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

from townlet_core import io
from townlet_core.bulk import whole_folder
from townlet_core.errors import InputError


def output_folder(
    output: Path | str, force: bool, marker: str, names: re.Pattern[str]
) -> AbstractContextManager[Path]:
    """Return bulk.whole_folder for `output`.

    force: replace a folder that holds `marker` and no entry with a name other than `names`.
    Raises InputError for a folder that may not be replaced, or DiskError.
    """
    io.refuse_address(output)
    io.refuse_existing(Path(output), force)

    def check_old(old: list[str]) -> None:
        if marker not in old or not all(map(names.fullmatch, old)):
            found = next((name for name in old if not names.fullmatch(name)), f"and no {marker}")
            raise InputError(
                f"{output}: holds more than Townlet wrote there ({found})",
                "choose another --output, or remove the folder yourself",
            )

    return whole_folder(Path(output), check_old)
