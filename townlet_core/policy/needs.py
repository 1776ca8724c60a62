"""Living by needs: what an agent without a schedule does next, in plain order of urgency."""

from __future__ import annotations

from townlet_core.policy.walking import is_legal, step_anywhere, walk
from townlet_core.rng import DRAW_SOCIAL, draw_unit
from townlet_core.simulation.actions import object_to_join
from townlet_core.simulation.compiled import rule
from townlet_core.simulation.constants import TownRules
from townlet_core.simulation.employment import own_shift_is_on, time_of_day
from townlet_core.simulation.paths import NOWHERE
from townlet_core.simulation.state import FREE, HOLDING, NOBODY, USING, TownState
from townlet_core.vocab import CHAT, RELEASE, REQUEST, START, WAIT

URGENT = 0.3  # a need below this comes before work and before avoiding rivals
WORTH_IT = 0.04  # least benefit minus effort for which an agent sets out
EFFORT_PER_TICK = 0.001  # what a tick of walking, waiting or using costs in benefit
EMPTY_LARDER = 3  # meals left at which cooking is worth more
COOKING_BONUS = 0.15
LEAVE_EARLY_TICKS = 10  # slack on the way to work
TALKATIVE = 0.1  # chance of a chat per idle tick beside somebody
PATIENCE = 90  # ticks in one line before trying something else


@rule
def live_by_needs(state: TownState, rules: TownRules, b: int, i: int) -> int:
    """Choose an action: finish what was begun, go to work, see to the worst need, or pass the time."""
    agent = state.agents[b, i]
    if agent.role == USING:
        return RELEASE if _must_leave_work(state, rules, b, i) else WAIT
    if agent.role != FREE:
        return _keep_place(state, rules, b, i)
    goal = _choose_goal(state, rules, b, i)
    if goal == NOBODY:
        return _pass_time(state, rules, b, i)
    if rules.distance[goal, agent.y, agent.x] != 1:
        return walk(state, rules.distance[goal], b, i)
    joining = object_to_join(state, rules, b, i)
    if joining == goal:
        return REQUEST
    return WAIT if joining == NOBODY else step_anywhere(state, b, i)


@rule
def _must_leave_work(state: TownState, rules: TownRules, b: int, i: int) -> bool:
    """Whether a worker should see to an urgent need first, and could."""
    agent = state.agents[b, i]
    if not rules.kinds[rules.objects[agent.object].kind].is_work:
        return False
    return _is_urgent(state, b, i) and _best_remedy(state, rules, b, i) != NOBODY


@rule
def _is_urgent(state: TownState, b: int, i: int) -> bool:
    agent = state.agents[b, i]
    return min(agent.hunger, min(agent.hygiene, agent.energy)) < URGENT


@rule
def _keep_place(state: TownState, rules: TownRules, b: int, i: int) -> int:
    """Wait for the turn and take it; give up a place that leads nowhere."""
    agent = state.agents[b, i]
    thing = state.objects[b, agent.object]
    if agent.role == HOLDING:
        if is_legal(agent.legal, START):
            return START
        if rules.distance[agent.object, agent.y, agent.x] > 1:
            return walk(state, rules.distance[agent.object], b, i)
        return RELEASE
    hopeless = thing.stock == 0 or thing.out_of_order or agent.ticks_waited > PATIENCE
    return RELEASE if hopeless else WAIT


@rule
def _choose_goal(state: TownState, rules: TownRules, b: int, i: int) -> int:
    """Return the object to go to, or -1."""
    if _is_urgent(state, b, i):
        remedy = _best_remedy(state, rules, b, i)
        if remedy != NOBODY:
            return remedy
    if _is_time_for_work(state, rules, b, i):
        return rules.jobs[rules.agents[i].job].workplace
    return _best_remedy(state, rules, b, i)


@rule
def _is_time_for_work(state: TownState, rules: TownRules, b: int, i: int) -> bool:
    if rules.agents[i].job == NOBODY:
        return False
    if own_shift_is_on(state, rules, b, i):
        return True
    agent = state.agents[b, i]
    job = rules.jobs[rules.agents[i].job]
    ahead = (job.start_tick - time_of_day(state, rules, b)) % rules.constants[0].ticks_per_day
    return ahead <= rules.distance[job.workplace, agent.y, agent.x] + LEAVE_EARLY_TICKS


@rule
def _best_remedy(state: TownState, rules: TownRules, b: int, i: int) -> int:
    """Return the object whose use is worth most for its effort, or -1 if none is worth it."""
    best, best_worth = NOBODY, WORTH_IT
    for o in range(rules.objects.shape[0]):
        if _is_usable(state, rules, b, i, o) and not _is_avoided(state, rules, b, i, o):
            worth = _worth(state, rules, b, i, o)
            if worth > best_worth:
                best, best_worth = o, worth
    return best


@rule
def _is_usable(state: TownState, rules: TownRules, b: int, i: int, o: int) -> bool:
    agent = state.agents[b, i]
    thing = state.objects[b, o]
    kind = rules.kinds[rules.objects[o].kind]
    if kind.is_work or thing.stock == 0 or thing.out_of_order or agent.wallet < kind.cost:
        return False
    steps = rules.distance[o, agent.y, agent.x]
    return steps != NOWHERE and state.cooldown[b, o, i] <= state.towns[b].tick + steps


@rule
def _is_avoided(state: TownState, rules: TownRules, b: int, i: int, o: int) -> bool:
    """Whether a rival uses, holds or waits there, and no need is urgent."""
    if _is_urgent(state, b, i):
        return False
    threshold = rules.constants[0].avoid_threshold
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
def _worth(state: TownState, rules: TownRules, b: int, i: int, o: int) -> float:
    """Return Σ gain · deficit over the needs, minus the effort of getting and using it."""
    agent = state.agents[b, i]
    thing = state.objects[b, o]
    kind = rules.kinds[rules.objects[o].kind]
    benefit = (
        min(kind.hunger, 1.0 - agent.hunger) * (1.0 - agent.hunger)
        + min(kind.hygiene, 1.0 - agent.hygiene) * (1.0 - agent.hygiene)
        + min(kind.energy, 1.0 - agent.energy) * (1.0 - agent.energy)
    )
    supplied = rules.objects[o].supplies
    if supplied != NOBODY and 0 <= state.objects[b, supplied].stock <= EMPTY_LARDER:
        benefit += COOKING_BONUS
    ahead = thing.line_length + (thing.user != NOBODY) + (thing.holder != NOBODY)
    ticks = rules.distance[o, agent.y, agent.x] + kind.duration_ticks * (1 + ahead)
    return benefit - EFFORT_PER_TICK * ticks


@rule
def _pass_time(state: TownState, rules: TownRules, b: int, i: int) -> int:
    """Chat now and then; stand where nobody's way to an object is blocked."""
    agent = state.agents[b, i]
    town = state.towns[b]
    if is_legal(agent.legal, CHAT) and draw_unit(town.key, town.tick, i, DRAW_SOCIAL) < TALKATIVE:
        return CHAT
    for o in range(rules.objects.shape[0]):
        if rules.distance[o, agent.y, agent.x] == 1:
            return step_anywhere(state, b, i)
    return WAIT
