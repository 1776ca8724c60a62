"""What every agent is doing, in a few words, for the page, the poster and the terminal alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from townlet_core.render.animation import Animation
from townlet_core.render.scene import DrawnAgent, Scene
from townlet_core.simulation.state import FREE, HOLDING, NOBODY, USING
from townlet_core.vocab import ACTIONS, CHAT, EAST, NORTH, REQUEST, SOUTH, WAIT, WEST

_MOVES = (NORTH, EAST, SOUTH, WEST)
_Talks = dict[tuple[int, str], str]  # (moment, who speaks) → the end of the sentence


def activities(animation: Animation, moments: Iterable[int]) -> list[list[str]]:
    """Say what each agent is doing at each of these moments; empty where the recording does not say it."""
    talks = _talks(animation.events)
    return [
        [_activity(animation, moment, i, talks) for i in range(len(animation.scenes[moment].agents))]
        for moment in moments
    ]


def _talks(events: list[dict[str, Any]]) -> _Talks:
    """Say how each talk ended; it is an event of the moment that follows the choice."""
    said: _Talks = {}
    for event in events:
        key = (event["moment"] - 1, str(event.get("actor")))
        if event["type"] == "chat_success":
            said[key] = f"chats with {event.get('rival')}"
        elif event["type"] == "chat_failure":
            said[key] = f"talks to {event.get('rival') or 'nobody'}, without an answer"
    return said


def _activity(animation: Animation, moment: int, i: int, talks: _Talks) -> str:
    scene = animation.scenes[moment]
    agent = scene.agents[i]
    chosen = animation.choices.at(moment, i)
    if not agent.alive:
        return "not in town"
    if animation.note:  # of a town that is not known, only the choice is
        return f"chooses {chosen}" if chosen else ""
    if agent.role != FREE:
        talk = talks.get((moment, agent.id))
        return about_object(scene, i) + (f", {talk}" if talk else "")
    if not chosen:
        return "end of the recording" if moment == len(animation.scenes) - 1 else ""
    action = ACTIONS.index(chosen)
    if action == CHAT:
        return talks.get((moment, agent.id), "chats")
    return _of_choice(agent, action, animation.scenes[moment + 1], i)


def about_object(scene: Scene, i: int) -> str:
    """Say what agent i is to the object that it uses, is offered, or waits for; empty if there is none."""
    agent = scene.agents[i]
    if agent.role == FREE or agent.object == NOBODY:
        return ""
    thing = scene.objects[agent.object]
    if agent.role == USING:
        return f"uses {thing.id}"
    if agent.role == HOLDING:
        return f"is offered {thing.id}"
    return f"{_ordinal(thing.line.index(i) + 1)} in line: {thing.id}"


def _of_choice(agent: DrawnAgent, action: int, then: Scene, i: int) -> str:
    """Say what somebody without an object does, by where the choice leads."""
    after = then.agents[i]
    if action in _MOVES:
        moved = (after.x, after.y) != (agent.x, agent.y)
        return f"walks {ACTIONS[action]}" if moved else f"cannot go {ACTIONS[action]}"
    if action == WAIT:
        return "idle"
    if action == REQUEST and after.role != FREE and after.object != NOBODY:
        return f"asks for {then.objects[after.object].id}"
    return f"tries to {ACTIONS[action]}, in vain"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
