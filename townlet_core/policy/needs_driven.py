"""Living by needs: what an agent without a schedule does next, in plain order of urgency."""

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

URGENT = 0.3  # a need below this comes before work and before avoiding rivals
WORTH_IT = 0.1  # least benefit minus effort for which an agent sets out
EFFORT_PER_TICK = 0.001  # what a tick of walking, waiting or using costs in benefit
VITAL_RESERVE = (
    0.15  # of a vital need, above the faint threshold, that using anything but its remedy must leave
)
EMPTY_LARDER = 3  # meals left at which cooking is worth more
COOKING_BONUS = 0.3
LEAVE_EARLY_TICKS = 10  # slack on the way to work
TALKATIVE = 0.1  # chance of a chat per idle tick in good company
RESTLESS = 0.2  # chance of a step per idle tick where one might be in the way


@rule
def live_by_needs(state: TownState, params: TownParams, b: int, i: int) -> int:
    """Choose an action: finish what was begun, go to work or where one is invited, see to the worst need, or
    pass the time."""
    agent = state.agents[b, i]
    remedy, is_urgent = _find_remedy(state, params, b, i)
    if agent.role == USING:
        at_work = params.kinds[params.objects[agent.object].kind].is_work
        return RELEASE if at_work and is_urgent else WAIT
    has_duty = is_urgent or _is_time_for_work(state, params, b, i)
    meeting = NOBODY if has_duty else _meeting_due(state, params, b, i)
    goal = NOBODY if meeting != NOBODY else _choose_goal(state, params, b, i, remedy, is_urgent)
    if agent.role != FREE:
        must_go = has_duty or meeting != NOBODY
        return _keep_place(state, params, b, i, goal, must_go)
    if meeting != NOBODY and not is_at_meeting(state, params, b, meeting, i):
        return walk(state, params.steps_to_meeting[meeting], b, i)
    if goal == NOBODY:
        return _pass_time(state, params, b, i)
    return approach(state, params, b, i, goal)


@rule
def _keep_place(state: TownState, params: TownParams, b: int, i: int, goal: int, must_go: bool) -> int:
    """Wait for the turn and take it; give up a place that leads nowhere, or for something that can't wait.

    Who has to work waits also while the workplace is out of order.
    """
    agent = state.agents[b, i]
    thing = state.objects[b, agent.object]
    leads_nowhere = thing.stock == 0 or thing.out_of_order
    if goal != agent.object and (must_go or leads_nowhere):
        return RELEASE
    if leads_nowhere:
        return WAIT
    if agent.role != HOLDING:
        return WAIT
    if params.distance[agent.object, agent.y, agent.x] > 1:
        return walk(state, params.distance[agent.object], b, i)
    return START if is_legal(agent.legal, START) else RELEASE


@rule
def _choose_goal(state: TownState, params: TownParams, b: int, i: int, remedy: int, is_urgent: bool) -> int:
    """Return the object to go to, or -1."""
    if is_urgent:
        return remedy
    if _is_time_for_work(state, params, b, i):
        return params.jobs[params.agents[i].job].workplace
    if remedy == NOBODY and _can_cover(state, params, b, i):
        return params.jobs[params.agents[i].job].workplace
    return remedy


@rule
def _is_time_for_work(state: TownState, params: TownParams, b: int, i: int) -> bool:
    if params.agents[i].job == NOBODY:
        return False
    agent = state.agents[b, i]
    way = params.distance[params.jobs[params.agents[i].job].workplace, agent.y, agent.x]
    return way != NOWHERE and _ticks_to_shift(state, params, b, i) <= way + LEAVE_EARLY_TICKS


@rule
def _meeting_due(state: TownState, params: TownParams, b: int, i: int) -> int:
    """Return the meeting that it is time to go to, or that is on, or -1."""
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
    """Whether a colleague is missing and nobody else has taken the place."""
    if params.agents[i].job == NOBODY:
        return False
    o = params.jobs[params.agents[i].job].workplace
    thing = state.objects[b, o]
    taken = thing.user != NOBODY or thing.holder != NOBODY or thing.line_length > 0
    return not taken and may_work(state, params, b, i, o) != MAY_NOT


@rule
def _find_remedy(state: TownState, params: TownParams, b: int, i: int) -> tuple[int, bool]:
    """Return the object whose use is worth most, or -1, and whether it relieves an urgent need.

    What relieves an urgent need comes before what does not, and is worth any effort.
    """
    best, best_worth, best_is_urgent = NOBODY, WORTH_IT, False
    for o in range(params.objects.shape[0]):
        if not _is_usable(state, params, b, i, o):
            continue
        is_urgent = _relief(state, params, b, i, o, URGENT) > WORTH_IT
        ticks = _ticks_needed(state, params, b, i, o)
        if not _has_time(state, params, b, i, o, ticks, is_urgent):
            continue
        if not is_urgent and (best_is_urgent or _is_avoided(state, params, b, i, o)):
            continue
        worth = _worth(state, params, b, i, o) - EFFORT_PER_TICK * ticks
        if worth > best_worth or (is_urgent and not best_is_urgent):
            best, best_worth, best_is_urgent = o, worth, is_urgent
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
    """Return the ticks it takes to get there, let those in front finish, and use it."""
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
    """Whether the agent can do this without starving, and, unless it is urgent, before its duties."""
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
    """Whether a rival uses, holds or waits there."""
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
def _worth(state: TownState, params: TownParams, b: int, i: int, o: int) -> float:
    """Return the relief, and more for cooking when there is little left to eat and nobody else cooks."""
    worth = _relief(state, params, b, i, o, 1.0)
    supplied = params.objects[o].supplies
    if supplied == NOBODY or not 0 <= state.objects[b, supplied].stock <= EMPTY_LARDER:
        return worth
    thing = state.objects[b, o]
    is_taken = thing.user != NOBODY or thing.holder != NOBODY or thing.line_length > 0
    return worth if is_taken and state.agents[b, i].object != o else worth + COOKING_BONUS


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
def _pass_time(state: TownState, params: TownParams, b: int, i: int) -> int:
    """Chat now and then; make room at objects, in doorways, and for whoever comes close."""
    agent = state.agents[b, i]
    town = state.towns[b]
    chance = draw_unit(town.key, town.tick, i, DRAW_SOCIAL)
    if chance < TALKATIVE and _is_in_good_company(state, params, b, i):
        return CHAT
    for o in range(params.objects.shape[0]):
        if params.distance[o, agent.y, agent.x] == 1:
            return step_anywhere(state, b, i)
    open_sides = 0
    for move in (NORTH, EAST, SOUTH, WEST):
        open_sides += is_legal(agent.legal, move)
    in_the_way = open_sides < 3 or is_legal(agent.legal, CHAT)
    return step_anywhere(state, b, i) if in_the_way and chance < RESTLESS else WAIT


@rule
def _is_in_good_company(state: TownState, params: TownParams, b: int, i: int) -> bool:
    """Whether somebody is within a tile, and all who are have time and are no rivals."""
    agent = state.agents[b, i]
    found = False
    for j in range(state.agents.shape[1]):
        other = state.agents[b, j]
        if j == i or not other.alive or max(abs(other.x - agent.x), abs(other.y - agent.y)) > 1:
            continue
        if other.role == USING or state.rivalry[b, i, j] >= params.constants[0].avoid_threshold:
            return False
        found = True
    return found
