"""An animation in the terminal: animated where somebody watches, in a pipe the frames that tell something."""

from __future__ import annotations

import time

from rich.live import Live
from rich.text import Text

from townlet_cli.console import is_terminal, out, plain
from townlet_core.render.activity import activities
from townlet_core.render.animation import Animation
from townlet_core.render.scene import Scene
from townlet_core.render.text import agent_marks, draw_text, event_text, object_marks
from townlet_core.render.theme import agent_colour, kind_looks
from townlet_core.vocab import NEEDS

_BAR = 8  # characters of a need at its best


def show_text(animation: Animation, tick: int | None, every: int | None, fps: int) -> None:
    """Print the moment after `tick`; or play all on a terminal; or print those that count, or every so many.

    Raises InputError for a tick that the animation does not show.
    """
    if tick is not None:
        out.print(_frame(animation, animation.moment_at(tick)))
    elif is_terminal():
        _play(animation, every or 1, fps)
    else:
        for moment in _moments(animation, every):
            out.print(_frame(animation, moment))
            out.print()


def _moments(animation: Animation, every: int | None) -> list[int]:
    """List what a pipe gets: the first moment, those in which something happened, the last."""
    last = len(animation.scenes) - 1
    if every is not None:
        return sorted({*range(0, last + 1, every), last})
    return sorted({0, last, *(event["moment"] for event in animation.events)})


def _play(animation: Animation, every: int, fps: int) -> None:
    with Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
        for moment in sorted({*range(0, len(animation.scenes), every), len(animation.scenes) - 1}):
            live.update(_frame(animation, moment), refresh=True)
            time.sleep(1 / fps)


def _frame(animation: Animation, moment: int) -> Text:
    """Draw one moment: the time, the town, everybody, what happened. Outside text goes through `plain`."""
    scene = animation.scenes[moment]
    time_said = f"{scene.clock}  tick {scene.tick}".strip()
    lines = [Text.assemble((plain(animation.title), "bold"), "  ", time_said)]
    lines += _town(scene)
    marks = agent_marks(scene)
    [doing] = activities(animation, [moment])
    wide = max((len(agent.id) for agent in scene.agents), default=0)
    for i, agent in enumerate(scene.agents):
        line = Text.assemble(
            (marks[agent.id], f"bold {agent_colour(i)}"), " ", plain(agent.id).ljust(wide), " "
        )
        for name, need in zip(NEEDS, agent.needs or (), strict=False):
            full = round(need * _BAR)
            line.append(f" {name} ").append("█" * full, agent_colour(i)).append("░" * (_BAR - full), "dim")
        lines.append(line.append(f"  {plain(doing[i])}".rstrip()))
    for event in animation.events:
        if event["moment"] == moment:
            style = "bold red" if event["type"] == "queue_conflict" else "bold"
            lines.append(Text(plain(event_text(event)), style))
    return Text("\n").join(lines)


def _town(scene: Scene) -> list[Text]:
    """Colour the floor plan: walls dim, objects like their kind, agents like themselves, quarrels red."""
    rows = [Text(plain(row)) for row in draw_text(scene)]
    for row, text in zip(draw_text(scene), rows, strict=True):
        for x, mark in enumerate(row):
            if mark in "#·":
                text.stylize("dim", x, x + 1)
    looks = kind_looks(list(object_marks(scene)))
    fought_over = {conflict.object for conflict in scene.conflicts}
    for o, thing in enumerate(scene.objects):
        ink = looks[thing.kind].ink
        rows[thing.y].stylize(
            "bold white on red" if o in fought_over else f"bold {ink}", thing.x, thing.x + 1
        )
    for i, agent in enumerate(scene.agents):
        if agent.alive:
            rows[agent.y].stylize(f"bold {agent_colour(i)}", agent.x, agent.x + 1)
    return rows
