"""Options that the commands on replay data share."""

from __future__ import annotations

from typing import Annotated

import typer

FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Follow symbolic links that lead out of the folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
