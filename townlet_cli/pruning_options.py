"""What the prune commands share: which of several old things go, and whether they really do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from townlet_core.errors import InputError

if TYPE_CHECKING:
    from townlet_core.pruning import Rules

Keep = Annotated[int | None, typer.Option(min=0, help="Keep the newest, this many.")]
OlderThan = Annotated[
    str | None, typer.Option(help="Remove what is older than this, such as 30d, 12h or 2w.")
]
MaxBytes = Annotated[
    str | None, typer.Option(help="Remove the oldest until the rest takes at most this, such as 5GB.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only listed.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list them, as without --yes.")]


def pruning_rules(
    keep: int | None, older_than: str | None, max_bytes: str | None, yes: bool, dry_run: bool
) -> Rules:
    """Return the rules that the options give. Raises InputError for a wrong value, or two that contradict."""
    from townlet_core.pruning import Rules, parse_age, parse_bytes

    if yes and dry_run:
        raise InputError("--dry-run removes nothing, and --yes removes", "give one of them")
    return Rules(
        keep,
        None if older_than is None else parse_age(older_than),
        None if max_bytes is None else parse_bytes(max_bytes),
    )
