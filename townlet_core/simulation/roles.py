"""Transitions between the roles of an agent towards its object: free, waiting, holding, using.

An agent and its object both record the role. These functions keep the two consistent.
"""

from __future__ import annotations

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.state import FREE, HOLDING, NOBODY, USING, WAITING, TownState


@rule
def join_line(state: TownState, b: int, i: int, o: int) -> None:
    """Put agent i at the end of the line of object o."""
    agent = state.agents[b, i]
    thing = state.objects[b, o]
    state.line[b, o, thing.line_length] = i
    thing.line_length += 1
    agent.role = WAITING
    agent.object = o


@rule
def leave_line(state: TownState, b: int, i: int, o: int) -> None:
    """Take agent i out of the line of object o; the caller sets its next role."""
    line = state.line[b, o]
    length = state.objects[b, o].line_length
    place = 0
    while line[place] != i:
        place += 1
    for p in range(place, length - 1):
        line[p] = line[p + 1]
    state.objects[b, o].line_length = length - 1


@rule
def leave_object(state: TownState, b: int, i: int) -> None:
    """Take agent i out of its object's line, offer or use: it is free."""
    agent = state.agents[b, i]
    o = agent.object
    if agent.role == WAITING:
        leave_line(state, b, i, o)
    elif agent.role == HOLDING:
        state.objects[b, o].holder = NOBODY
    elif agent.role == USING:
        state.objects[b, o].user = NOBODY
    agent.role = FREE
    agent.object = NOBODY
    agent.progress = 0
