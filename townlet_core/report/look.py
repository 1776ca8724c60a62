"""The colours of charts, for the page's style sheet and for pictures alike."""

from __future__ import annotations

from typing import NamedTuple

from townlet_core import pages


class Theme(NamedTuple):
    """The colours of one scheme. `series` are told apart by most colour-blind people, in this order."""

    page: str
    card: str
    ink: str
    soft: str
    line: str
    alert: str
    series: tuple[str, ...]

    def colours(self) -> dict[str, str]:
        """Return every colour by its name."""
        named = {name: getattr(self, name) for name in self._fields if name != "series"}
        return named | {f"c{i}": colour for i, colour in enumerate(self.series)}


# Each has a contrast of at least 3 : 1 with its card, as graphics need (WCAG 2.2, 1.4.11).
LIGHT = Theme(
    **pages.LIGHT,
    series=("#1f5fd6", "#c2570c", "#12805c", "#9333c9", "#8a6d1b", "#0e7490", "#be185d", "#5b6472"),
)
DARK = Theme(
    **pages.DARK,
    series=("#7aa7ff", "#ffa05c", "#4fcf9e", "#cf93ff", "#d8bc62", "#58c7df", "#ff86b3", "#aab2c0"),
)
