"""One recording, or two of the same town, as one HTML page with a player: no network, no other file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.resources import files

from townlet_core.pages import page_head
from townlet_core.render.animation import Animation
from townlet_core.render.pack import pack_animation

_SCRIPTS = ("film.js", "page.js", "town.js", "labels.js", "side.js", "legend.js")


def animation_page(animations: Sequence[Animation]) -> bytes:
    """Return the page of one animation, or of several that have the same agents and the same ticks.

    What came from outside is in the blobs, which the script shows as text, or is escaped. The browser is told
    to run and to style with nothing but what is digested in the head.
    """
    script = "".join(map(_part, _SCRIPTS))
    head = page_head(f"{animations[0].title} · Townlet", _part("style.css"), [script])
    films = "".join(map(_film, animations))
    page = f"{head}{_part('body.html')}{films}<script>{script}</script>\n</body>\n</html>\n"
    return page.encode("utf-8")


def _film(animation: Animation) -> str:
    blob = base64.b64encode(pack_animation(animation)).decode("ascii")
    return f'<script class="film" type="text/plain">{blob}</script>\n'


def _part(name: str) -> str:
    return (files("townlet_core.render") / "player" / name).read_text("utf-8")
