"""What every HTML page has in common: its head, its colours in both schemes, its content security policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

# Text in `ink`, `soft` and `alert` has a contrast of at least 4.5 : 1 with `page` and `card` (WCAG 2.2).
LIGHT = {
    "page": "#fbfaf7",
    "card": "#ffffff",
    "ink": "#23262e",
    "soft": "#5f6573",
    "line": "#e2dfd6",
    "alert": "#d4202c",
}
DARK = {
    "page": "#16181d",
    "card": "#1f2229",
    "ink": "#e8e8ea",
    "soft": "#a4abb9",
    "line": "#363b48",
    "alert": "#ff6b5e",
}


def page_head(
    title: str,
    style: str,
    scripts: Sequence[str] = (),
    inline_styles: bool = False,
    framed_styles: Sequence[str] = (),
) -> str:
    """Return a page from its first byte to the end of its head. Nothing is loaded over the network.

    title: untrusted text. style: the page's own rules, after those of both schemes; the reader's scheme holds
    unless `data-theme` of the root element says `light` or `dark`.
    scripts: the text between the tags of every script that may run. inline_styles: allow `style` attributes.
    framed_styles: the sheets of pages in frames of this one. A page in an iframe's srcdoc inherits the policy
    of the page around it, beside its own; its scripts are among `scripts`.
    """
    sheet = colours() + style
    sheets = dict.fromkeys((sheet, *framed_styles))
    style_source = "'unsafe-inline'" if inline_styles else " ".join(f"'{digest(one)}'" for one in sheets)
    policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src {style_source}"
    if scripts:
        policy += "; script-src " + " ".join(f"'{digest(script)}'" for script in scripts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{sheet}</style>\n</head>\n"
    )


def colours() -> str:
    """Return the rules that name the colours of the reader's scheme, such as var(--ink)."""
    light, dark = (
        "; ".join(f"--{name}: {colour}" for name, colour in scheme.items()) for scheme in (LIGHT, DARK)
    )
    return (
        f"\n:root {{ color-scheme: light; {light} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) '
        f"{{ color-scheme: dark; {dark} }} }}\n"
        f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}\n'
    )


def digest(text: str) -> str:
    """Return the digest of a style sheet or script as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
