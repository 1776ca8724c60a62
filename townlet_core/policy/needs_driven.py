"""The needs-driven script: what an agent without a schedule does next, in order of urgency."""

from __future__ import annotations

from townlet_core.policy.navigation import approach, is_legal, step_anywhere, walk
from townlet_core.rng import DRAW_SOCIAL, draw_unit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.pathfinding import NOWHERE
from townlet_core.simulation.rules.employment import MAY_NOT, may_work, own_shift_is_on
from townlet_core.simulation.rules.meetings import is_at_meeting, next_meeting, ticks_to_meeting
from townlet_core.simulation.state import FREE, HOLDING, NOBODY, USING, TownState
from townlet_core.vocab import CHAT, EAST, NEEDS, NORTH, RELEASE, SOUTH, START, WAIT, WEST

URGENT_BELOW = 0.3  # a need below this takes precedence over work and over avoiding rivals
MIN_BENEFIT = 0.1  # least benefit minus effort for which an agent sets out
EFFORT_PER_TICK = 0.001  # subtracted from the benefit for each tick of walking, waiting or using
VITAL_RESERVE = 0.15  # a use that does not raise a vital need must leave it this far above the threshold
LOW_STOCK = 3  # meals left at which cooking is benefit more
COOKING_BONUS = 0.3
LEAVE_EARLY_TICKS = 10  # slack on the way to work or to a meeting
CHAT_CHANCE = 0.1  # per idle tick in which a chat would succeed
IDLE_STEP_CHANCE = 0.2  # per idle tick on a tile where the agent might block others


@rule
def follow_needs(state: TownState, params: TownParams, b: int, i: int) -> int:
    """Choose an action: finish the current use, go to work or a meeting, satisfy the worst need, or idle."""
    agent = state.agents[b, i]
    best, is_urgent = _best_object(state, params, b, i)
    if agent.role == USING:
        at_work = params.kinds[params.objects[agent.object].kind].is_work
        return RELEASE if at_work and is_urgent else WAIT
    has_duty = is_urgent or _is_time_for_work(state, params, b, i)
    meeting = NOBODY if has_duty else _due_meeting(state, params, b, i)
    goal = NOBODY if meeting != NOBODY else _choose_goal(state, params, b, i, best, is_urgent)
    if agent.role != FREE:
        must_go = has_duty or meeting != NOBODY
        return _keep_role(state, params, b, i, goal, must_go)
    if meeting != NOBODY and not is_at_meeting(state, params, b, meeting, i):
        return walk(state, params.steps_to_meeting[meeting], b, i)
    if goal == NOBODY:
        return _idle(state, params, b, i)
    return approach(state, params, b, i, goal)


@rule
def _keep_role(state: TownState, params: TownParams, b: int, i: int, goal: int, must_go: bool) -> int:
    """Wait for the offer and take it; release an unusable object, or any object for an urgent goal.

    An agent that has to work keeps waiting while its workplace is out of order.
    """
    agent = state.agents[b, i]
    thing = state.objects[b, agent.object]
    is_unusable = thing.stock == 0 or thing.out_of_order
    if goal != agent.object and (must_go or is_unusable):
        return RELEASE
    if is_unusable:
        return WAIT
    if agent.role != HOLDING:
        return WAIT
    if params.distance[agent.object, agent.y, agent.x] > 1:
        return walk(state, params.distance[agent.object], b, i)
    return START if is_legal(agent.legal, START) else RELEASE


@rule
def _choose_goal(state: TownState, params: TownParams, b: int, i: int, best: int, is_urgent: bool) -> int:
    """Return the object to use next, or -1."""
    if is_urgent:
        return best
    if _is_time_for_work(state, params, b, i):
        return params.jobs[params.agents[i].job].workplace
    if best == NOBODY and _can_cover(state, params, b, i):
        return params.jobs[params.agents[i].job].workplace
    return best


@rule
def _is_time_for_work(state: TownState, params: TownParams, b: int, i: int) -> bool:
    if params.agents[i].job == NOBODY:
        return False
    agent = state.agents[b, i]
    way = params.distance[params.jobs[params.agents[i].job].workplace, agent.y, agent.x]
    return way != NOWHERE and _ticks_to_shift(state, params, b, i) <= way + LEAVE_EARLY_TICKS


@rule
def _due_meeting(state: TownState, params: TownParams, b: int, i: int) -> int:
    """Return the meeting that is active or that it is time to leave for, or -1."""
    meeting = next_meeting(state, params, b, i)
    if meeting == NOBODY:
        return NOBODY
    agent = state.agents[b, i]
    way = params.steps_to_meeting[meeting, agent.y, agent.x]
    is_due = ticks_to_meeting(state, params, b, meeting) <= way + LEAVE_EARLY_TICKS
    return meeting if way != NOWHERE and is_due else NOBODY


@rule
def _ticks_to_shift(state: TownState, params: TownParams, b: int, i: int) -> int:
    """Return the ticks until the own shift begins, 0 while it is on; for agents with a job."""
    if own_shift_is_on(state, params, b, i):
        return 0
    start_tick = params.jobs[params.agents[i].job].start_tick
    return (start_tick - state.towns[b].clock) % params.constants[0].ticks_per_day


@rule
def _can_cover(state: TownState, params: TownParams, b: int, i: int) -> bool:
    """Whether a colleague is missing and no other agent uses, holds or waits for the workplace."""
    if params.agents[i].job == NOBODY:
        return False
    o = params.jobs[params.agents[i].job].workplace
    thing = state.objects[b, o]
    taken = thing.user != NOBODY or thing.holder != NOBODY or thing.line_length > 0
    return not taken and may_work(state, params, b, i, o) != MAY_NOT


@rule
def _best_object(state: TownState, params: TownParams, b: int, i: int) -> tuple[int, bool]:
    """Return the object with the greatest benefit, or -1, and whether using it raises an urgent need.

    Objects that raise an urgent need take precedence, at any effort.
    """
    best, best_benefit, best_is_urgent = NOBODY, MIN_BENEFIT, False
    for o in range(params.objects.shape[0]):
        if not _is_usable(state, params, b, i, o):
            continue
        is_urgent = _relief(state, params, b, i, o, URGENT_BELOW) > MIN_BENEFIT
        ticks = _ticks_needed(state, params, b, i, o)
        if not _has_time(state, params, b, i, o, ticks, is_urgent):
            continue
        if not is_urgent and (best_is_urgent or _is_avoided(state, params, b, i, o)):
            continue
        benefit = _benefit(state, params, b, i, o) - EFFORT_PER_TICK * ticks
        if benefit > best_benefit or (is_urgent and not best_is_urgent):
            best, best_benefit, best_is_urgent = o, benefit, is_urgent
    return best, best_is_urgent


@rule
def _is_usable(state: TownState, params: TownParams, b: int, i: int, o: int) -> bool:
    agent = state.agents[b, i]
    thing = state.objects[b, o]
    kind = params.kinds[params.objects[o].kind]
    if kind.is_work or thing.stock == 0 or thing.out_of_order or agent.wallet < thing.price:
        return False
    steps = params.distance[o, agent.y, agent.x]
    return steps != NOWHERE and state.cooldown[b, o, i] <= state.towns[b].tick + steps


@rule
def _ticks_needed(state: TownState, params: TownParams, b: int, i: int, o: int) -> int:
    """Return the ticks to walk there, wait for all agents in front, and use it."""
    agent = state.agents[b, i]
    thing = state.objects[b, o]
    turns = 1
    if agent.object != o:
        turns += thing.line_length + (thing.user != NOBODY) + (thing.holder != NOBODY)
    elif agent.role != HOLDING:
        turns += thing.user != NOBODY
    return params.distance[o, agent.y, agent.x] + turns * params.kinds[params.objects[o].kind].duration_ticks


@rule
def _has_time(
    state: TownState, params: TownParams, b: int, i: int, o: int, ticks: int, is_urgent: bool
) -> bool:
    """Whether the agent can use it without fainting and, unless it is urgent, before its shift or meeting."""
    constants = params.constants[0]
    agent = state.agents[b, i]
    kind = params.kinds[params.objects[o].kind]
    for need in range(len(NEEDS)):
        threshold = constants.faint_threshold[need]
        left = agent.needs[need] - constants.need_decay[need] * ticks
        if threshold >= 0.0 and kind.effects[need] <= 0.0 and left < threshold + VITAL_RESERVE:
            return False
    if is_urgent:
        return True
    if params.agents[i].job != NOBODY and ticks >= _ticks_to_shift(state, params, b, i):
        return False
    meeting = next_meeting(state, params, b, i)
    if meeting == NOBODY or params.steps_to_meeting[meeting, agent.y, agent.x] == NOWHERE:
        return True
    return ticks < ticks_to_meeting(state, params, b, meeting)


@rule
def _is_avoided(state: TownState, params: TownParams, b: int, i: int, o: int) -> bool:
    """Whether an agent to be avoided uses, holds or waits for the object."""
    threshold = params.constants[0].avoid_threshold
    thing = state.objects[b, o]
    if thing.user != NOBODY and state.rivalry[b, i, thing.user] >= threshold:
        return True
    if thing.holder != NOBODY and state.rivalry[b, i, thing.holder] >= threshold:
        return True
    for place in range(thing.line_length):
        if state.rivalry[b, i, state.line[b, o, place]] >= threshold:
            return True
    return False


@rule
def _benefit(state: TownState, params: TownParams, b: int, i: int, o: int) -> float:
    """Return the relief, plus a bonus for cooking while meals are low and no other agent cooks."""
    benefit = _relief(state, params, b, i, o, 1.0)
    supplied = params.objects[o].supplies
    if supplied == NOBODY or not 0 <= state.objects[b, supplied].stock <= LOW_STOCK:
        return benefit
    thing = state.objects[b, o]
    is_taken = thing.user != NOBODY or thing.holder != NOBODY or thing.line_length > 0
    return benefit if is_taken and state.agents[b, i].object != o else benefit + COOKING_BONUS


@rule
def _relief(state: TownState, params: TownParams, b: int, i: int, o: int, below: float) -> float:
    """Return Σ gain · deficit over the needs that are below `below`."""
    agent = state.agents[b, i]
    kind = params.kinds[params.objects[o].kind]
    relief = 0.0
    for need in range(len(NEEDS)):
        if agent.needs[need] < below:
            lack = 1.0 - agent.needs[need]
            relief += min(kind.effects[need], lack) * lack
    return relief


@rule
def _idle(state: TownState, params: TownParams, b: int, i: int) -> int:
    """Chat at times; step away from objects, doorways and agents nearby."""
    agent = state.agents[b, i]
    town = state.towns[b]
    chance = draw_unit(town.key, town.tick, i, DRAW_SOCIAL)
    if chance < CHAT_CHANCE and _chat_would_succeed(state, params, b, i):
        return CHAT
    for o in range(params.objects.shape[0]):
        if params.distance[o, agent.y, agent.x] == 1:
            return step_anywhere(state, b, i)
    open_sides = 0
    for move in (NORTH, EAST, SOUTH, WEST):
        open_sides += is_legal(agent.legal, move)
    in_the_way = open_sides < 3 or is_legal(agent.legal, CHAT)
    return step_anywhere(state, b, i) if in_the_way and chance < IDLE_STEP_CHANCE else WAIT


@rule
def _chat_would_succeed(state: TownState, params: TownParams, b: int, i: int) -> bool:
    """Whether an agent is within a tile, and none within a tile is using something or to be avoided."""
    agent = state.agents[b, i]
    has_partner = False
    for j in range(state.agents.shape[1]):
        other = state.agents[b, j]
        if j == i or not other.alive or max(abs(other.x - agent.x), abs(other.y - agent.y)) > 1:
            continue
        if other.role == USING or state.rivalry[b, i, j] >= params.constants[0].avoid_threshold:
            return False
        has_partner = True
    return has_partner
