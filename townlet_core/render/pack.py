"""A compact encoding of an animation: a column per number, delta-encoded over moments and deflated.

    blob  = deflate(length of head, uint32 · head, JSON · four planes of bytes)
    value = z >> 1 ^ -(z & 1), summed up over the moments; plane p holds byte p of every z

Columns stand one after the other, each N moments long. Most of them hardly change, so most bytes are 0.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import orjson

from townlet_core.render import theme
from townlet_core.render.activity import activities
from townlet_core.render.animation import Animation
from townlet_core.render.scene import DrawnAgent, DrawnObject, Scene
from townlet_core.render.text import agent_marks, event_text, kind_marks
from townlet_core.simulation.state import WAITING
from townlet_core.vocab import NEEDS

UNKNOWN = -1_000_000_000  # an unknown number: a need or a wallet that was not recorded, no reward
NEED_STEPS, WALLET_STEPS, REWARD_STEPS = 200, 100, 10_000  # resolution, in steps per unit
PROBABILITY_STEPS, VALUE_STEPS = 1000, 1000
_LARGEST = 900_000_000  # that a column is trusted with
AGENT_COLUMNS = (
    "alive",
    "x",
    "y",
    "role",
    "object",
    "place",
    "progress",
    *NEEDS,
    "wallet",
)
CHOICE_COLUMNS = ("reward", "doing", "action", "probability", "value")  # of each agent, after all objects
OBJECT_COLUMNS = ("kind", "x", "y", "user", "holder", "stock", "broken")  # kind -1: not there at this moment


def pack_animation(animation: Animation) -> bytes:
    """Return the animation as one blob. Equal animations give equal bytes with the same zlib."""
    kinds = list(dict.fromkeys(thing.kind for scene in animation.scenes for thing in scene.objects))
    most = max((len(scene.objects) for scene in animation.scenes), default=0)
    rows = [_row(scene, kinds, most) for scene in animation.scenes]
    told = activities(animation, range(len(animation.scenes)))
    doing = list(dict.fromkeys(text for moment in told for text in moment))
    columns = np.hstack([np.array(rows, np.int64), _choices(animation, told, doing)]).T
    head = orjson.dumps(_head(animation, kinds, most) | {"doing": doing})
    return zlib.compress(struct.pack("<I", len(head)) + head + _planes(columns), 9)


def _choices(animation: Animation, told: list[list[str]], doing: list[str]) -> np.ndarray:
    """Return CHOICE_COLUMNS of one agent after the other, (N, 5 · A) int64."""
    number = {text: n for n, text in enumerate(doing)}
    choices = animation.choices
    columns = [
        _steps(animation.rewards, REWARD_STEPS),
        np.array([[number[text] for text in moment] for moment in told], np.int64),
        choices.actions.astype(np.int64),
        _steps(choices.probabilities, PROBABILITY_STEPS),
        _steps(choices.values, VALUE_STEPS),
    ]
    return np.stack(columns, axis=2).reshape(len(told), -1)


def _steps(numbers: np.ndarray, steps: int) -> np.ndarray:
    """Return numbers in steps, within bounds; UNKNOWN where they are not known."""
    counted = np.clip(np.round(numbers.astype(np.float64) * steps), -_LARGEST, _LARGEST)
    return np.where(np.isnan(counted), UNKNOWN, counted).astype(np.int64)


def _planes(columns: np.ndarray) -> bytes:
    """Return the changes along each column, small ones of either sign as small numbers, first all bytes 0."""
    changes = np.diff(columns, axis=1, prepend=0)
    folded = (changes << 1 ^ changes >> 63).astype("<u4")
    return np.ascontiguousarray(folded.reshape(-1, 1).view(np.uint8).T).tobytes()


def _row(scene: Scene, kinds: list[str], most: int) -> list[int]:
    """Return one moment: the tick, every agent, and `most` objects."""
    row = [scene.tick]
    for i, agent in enumerate(scene.agents):
        row += _agent(scene, i, agent)
    for thing in scene.objects:
        row += _object(thing, kinds)
    return row + [-1] * (len(OBJECT_COLUMNS) * (most - len(scene.objects)))


def _agent(scene: Scene, i: int, agent: DrawnAgent) -> list[int]:
    place = scene.objects[agent.object].line.index(i) + 1 if agent.role == WAITING else 0
    needs = [round(need * NEED_STEPS) for need in agent.needs] if agent.needs else [UNKNOWN] * len(NEEDS)
    wallet = UNKNOWN if agent.wallet is None else round(min(agent.wallet * WALLET_STEPS, _LARGEST))
    progress = round(agent.progress * 100)
    return [agent.alive, agent.x, agent.y, agent.role, agent.object, place, progress, *needs, wallet]


def _object(thing: DrawnObject, kinds: list[str]) -> list[int]:
    kind = kinds.index(thing.kind)
    return [kind, thing.x, thing.y, thing.user, thing.holder, thing.stock, thing.out_of_order]


def _head(animation: Animation, kinds: list[str], most: int) -> dict[str, Any]:
    """Return what does not change: names, floor plan, events as sentences, and how things theme."""
    scene = animation.scenes[0]
    widest = max(animation.scenes, key=lambda scene: len(scene.objects))
    marks = kind_marks(kinds)
    return {
        "title": animation.title,
        "label": animation.label,
        "description": animation.description,
        "facts": animation.facts,
        "note": animation.note,
        "focus": animation.focus,
        "moments": len(animation.scenes),
        "width": scene.width,
        "height": scene.height,
        "walls": sorted(x + y * scene.width for x, y in scene.walls),
        "grass": sorted(x + y * scene.width for x, y in scene.grass),
        "dayStart": scene.time_of_day - scene.tick,
        "ticksPerDay": scene.ticks_per_day,
        "agents": [{"id": agent.id, "mark": agent_marks(scene)[agent.id].upper()} for agent in scene.agents],
        "objects": [thing.id for thing in widest.objects],
        "kinds": [{"name": kind, "mark": marks[kind]} for kind in kinds],
        "look": theme.for_player(kinds),
        "events": [_event(animation, event) for event in animation.events],
        "actions": animation.choices.names,
        "columns": {"agent": AGENT_COLUMNS, "object": OBJECT_COLUMNS, "choice": CHOICE_COLUMNS},
        "steps": {
            "need": NEED_STEPS,
            "wallet": WALLET_STEPS,
            "reward": REWARD_STEPS,
            "probability": PROBABILITY_STEPS,
            "value": VALUE_STEPS,
            "unknown": UNKNOWN,
        },
    }


def _event(animation: Animation, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as the player needs it: when, what to say, and for a quarrel between whom over what."""
    shown = {"moment": event["moment"], "type": event["type"], "text": event_text(event)}
    if event["type"] == "queue_conflict":
        agents = [agent.id for agent in animation.scenes[0].agents]
        objects = [thing.id for thing in animation.scenes[0].objects]
        shown["over"] = objects.index(event["object_id"])
        shown["between"] = [agents.index(event["actor"]), agents.index(event["rival"])]
    return shown
