"""An animation as one HTML page with a player: no network access, no other file, and no other script."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from importlib.resources import files

from townlet_core.render.animation import Animation
from townlet_core.render.pack import pack_animation


def animation_page(animation: Animation) -> bytes:
    """Return the page. What came from outside is in the blob, which the script shows as text, or is escaped.

    The browser is told to run and to style with nothing but what is digested here.
    """
    template = (files("townlet_core.render") / "player.html").read_text("utf-8")
    parts = {
        "title": escape(f"{animation.title} · Townlet"),
        "policy": _policy(template),
        "film": base64.b64encode(pack_animation(animation)).decode("ascii"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode("utf-8")


def _policy(template: str) -> str:
    """Return the content security policy: nothing at all, but this style sheet and this script."""
    [style] = re.findall(r"<style>(.*?)</style>", template, re.DOTALL)
    [script] = re.findall(r"<script>(.*?)</script>", template, re.DOTALL)
    return f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
