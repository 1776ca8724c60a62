"""`townlet docs`: the pages of the documentation, which an installation has as well."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from townlet_cli.console import is_terminal, next_step, out, safe, table
from townlet_core.errors import InputError, did_you_mean


def docs(
    topic: Annotated[
        str | None,
        typer.Argument(metavar="TOPIC", help="Name of a page, such as telemetry, or PAGE#HEADING."),
    ] = None,
) -> None:
    """Print a page of the documentation, or list the pages."""
    if topic is None:
        listed = table("", "topic", "title")
        listed.columns[1].justify = "left"
        for name, path in topics().items():
            listed.add_row(name, safe(_text(path).partition("\n")[0].removeprefix("# ")))
        out.print(listed)
        next_step("townlet docs cli")
        return
    page, _, heading = topic.removesuffix(".md").partition("#")
    found = topics()
    if page not in found:
        raise InputError(
            f"no page is called '{page}'{did_you_mean(page, list(found))}", "see them all with: townlet docs"
        )
    text = _text(found[page])
    _show(section_of(text, heading, page) if heading else text)


def topics() -> dict[str, Path]:
    """Return the file of every page by its name."""
    from townlet_core import io

    installed = Path(__file__).parent / "pages"
    # An editable install has them at the top of the repository, where they are edited.
    folder = installed if io.kind_of(installed) else Path(__file__).parents[1] / "docs"
    paths = [folder / name for name in io.list_folder(folder)]
    return {path.stem: path for path in paths if path.suffix == ".md"}


def _text(path: Path) -> str:
    from townlet_core import io

    return io.decode_text(io.read_file(path), str(path))


def section_of(text: str, heading: str, page: str) -> str:
    """Return a section of a page with its subsections. The heading is written as in links."""
    parts = re.split(r"^(?=#+ )", re.sub(r"^```.*?^```$", _shield, text, flags=re.M | re.S), flags=re.M)
    parts = [part.replace(_SHIELD, "#") for part in parts]
    names = [_anchor(part.partition("\n")[0]) for part in parts]
    if _anchor(heading) not in names:
        known = [name for name in names if name]
        raise InputError(
            f"{page}: no heading is called '{heading}'{did_you_mean(heading, known)}", f"townlet docs {page}"
        )
    start = names.index(_anchor(heading))
    level = len(parts[start]) - len(parts[start].lstrip("#"))
    chosen = [parts[start]]
    for part in parts[start + 1 :]:
        if len(part) - len(part.lstrip("#")) <= level:
            break
        chosen.append(part)
    return "".join(chosen)


_SHIELD = "\0"  # stands for # within code, which begins no heading


def _shield(code: re.Match[str]) -> str:
    return code[0].replace("#", _SHIELD)


def _anchor(heading: str) -> str:
    """Spell a heading as links do."""
    return re.sub(r"[^\w\- ]", "", heading.strip("# ").lower()).replace(" ", "-")


def _show(text: str) -> None:
    """Print Markdown as it is in a pipe; on a terminal laid out, a screen at a time."""
    if not is_terminal():
        sys.stdout.write(text)
        return
    from rich.markdown import Markdown

    os.environ.setdefault("LESS", "-FRX")  # leave where all fits, show colours
    with out.pager(styles=out.color_system is not None):
        out.print(Markdown(text), soft_wrap=False)
