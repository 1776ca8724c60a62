"""How things look, for the picture and the player alike: colours, and pictograms made of strokes."""

from __future__ import annotations

from itertools import cycle
from typing import Any, NamedTuple

from townlet_core import vocab

Stroke = tuple[str, tuple[float, ...]]


class KindLook(NamedTuple):
    """How objects of one kind are drawn."""

    fill: str
    ink: str  # of its outline and pictogram
    strokes: tuple[Stroke, ...] = ()  # none: its letter is drawn


FLOOR = ("#f4f0e7", "#f0ebdf")  # of even and odd tiles
GRASS = ("#dcebc6", "#d5e6bd")
WALL = ("#7b8090", "#565a69")  # its top, and the side one sees from the south
QUARREL = ("#e02f2f", "#ffc23d")  # a burst and its core
BUSY = "#14923f"  # who uses, and what is used
BROKEN = ("#cfcfcf", "#8a8a8a")  # fill and ink of what is out of order
_NEEDS = ("#d9772b", "#2f86c9", "#8457c9", "#1f9d9d", "#c2334d", "#8a6d1b")
NEEDS = dict(zip(vocab.NEEDS, cycle(_NEEDS), strict=False))
AGENTS = (  # their letters are white: a contrast of at least 4.5 : 1
    "#2f6fde",
    "#b65d06",
    "#177f55",
    "#a444c9",
    "#c2334d",
    "#0b7d93",
    "#8a6d1b",
    "#c93a8d",
    "#5b5fc7",
    "#517f18",
    "#7a3e1d",
    "#4b6478",
)

# Strokes are in tiles: (0, 0) is the tile's north-west corner. line: x, y of each point. box: two corners.
# ring, dot: centre and radius.
KINDS = {
    "shower": KindLook(
        "#c3e1f8",
        "#1f6fa8",
        (
            ("line", (0.3, 0.78, 0.3, 0.3, 0.38, 0.22, 0.54, 0.22, 0.62, 0.3)),
            ("line", (0.48, 0.36, 0.76, 0.36)),
            *(("dot", (x, y, 0.03)) for x in (0.52, 0.62, 0.72) for y in (0.49, 0.62, 0.75)),
        ),
    ),
    "fridge": KindLook(
        "#c9efe6",
        "#1a7f6b",
        (
            ("box", (0.31, 0.2, 0.69, 0.8)),
            ("line", (0.31, 0.42, 0.69, 0.42)),
            ("line", (0.4, 0.28, 0.4, 0.35)),
            ("line", (0.4, 0.5, 0.4, 0.64)),
        ),
    ),
    "stove": KindLook(
        "#fbd5b8",
        "#b5541a",
        (
            ("box", (0.23, 0.23, 0.77, 0.77)),
            ("ring", (0.4, 0.4, 0.08)),
            ("ring", (0.61, 0.4, 0.06)),
            ("ring", (0.4, 0.61, 0.06)),
            ("ring", (0.61, 0.61, 0.08)),
        ),
    ),
    "bed": KindLook(
        "#ddd3f6",
        "#6247a8",
        (
            ("box", (0.27, 0.2, 0.73, 0.8)),
            ("box", (0.37, 0.27, 0.63, 0.4)),
            ("line", (0.27, 0.5, 0.73, 0.5)),
        ),
    ),
    "bench": KindLook(
        "#ead9c0",
        "#86622f",
        (
            ("line", (0.2, 0.36, 0.8, 0.36)),
            ("line", (0.2, 0.52, 0.8, 0.52)),
            ("line", (0.29, 0.52, 0.29, 0.72)),
            ("line", (0.71, 0.52, 0.71, 0.72)),
        ),
    ),
    "checkout": KindLook(
        "#f8e6a8",
        "#8a6a00",
        (
            ("box", (0.25, 0.48, 0.75, 0.76)),
            ("box", (0.38, 0.24, 0.64, 0.38)),
            ("line", (0.51, 0.38, 0.51, 0.48)),
            *(("dot", (x, 0.58, 0.028)) for x in (0.37, 0.5, 0.63)),
            ("line", (0.37, 0.68, 0.63, 0.68)),
        ),
    ),
}
OTHER_KINDS = (
    KindLook("#f6ccda", "#a8325e"),
    KindLook("#d5dbe6", "#465a7a"),
    KindLook("#e2edbb", "#5c7a13"),
    KindLook("#f3d0ed", "#8f3586"),
)


def kind_looks(kinds: list[str]) -> dict[str, KindLook]:
    """Give each kind its look; a scenario's own have one of the spare ones, by their name alone."""
    return {
        kind: KINDS.get(kind) or OTHER_KINDS[sum(kind.encode()) % len(OTHER_KINDS)]
        for kind in dict.fromkeys(kinds)
    }


def agent_colour(index: int) -> str:
    """Return the colour of agent number `index` of a scene."""
    return AGENTS[index % len(AGENTS)]


# What the player takes instead when the page is dark.
DARK = {
    "floor": ("#24272f", "#272b34"),
    "grass": ("#24352a", "#27392d"),
    "wall": ("#596075", "#3b4050"),
}


def for_player(kinds: list[str]) -> dict[str, Any]:
    """Return all of this as JSON-ready data, so that the player draws like the picture."""
    return {
        "light": {"floor": FLOOR, "grass": GRASS, "wall": WALL},
        "dark": DARK,
        "quarrel": QUARREL,
        "busy": BUSY,
        "broken": BROKEN,
        "needs": NEEDS,
        "agents": AGENTS,
        "kinds": [look._asdict() for look in kind_looks(kinds).values()],
    }
