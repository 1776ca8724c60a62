"""What must hold in every compiled town after every tick, whatever is done there (docs/rules.md)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from townlet_core.simulation.state import (
    AGENT_CELL,
    BORDER,
    EMPTY,
    FREE,
    HOLDING,
    NOBODY,
    USING,
    WAITING,
    TownState,
)
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import ACTION_COUNT, EVENTS, REWARD_TERMS

# Per type of event: whether it is the start of something, is between two, is about no object.
IS_START = np.isin(EVENTS, ("utility_outage", "price_spike", "meeting"))
HAS_RIVAL = np.isin(
    EVENTS,
    (
        *("queue_conflict", "queue_handover", "shared_meal", "late_help", "shift_takeover"),
        *("chat_success", "chat_failure", "meeting_attended"),
    ),
)
IS_NOWHERE = np.isin(EVENTS, ("chat_success", "chat_failure", "faint", "arrival"))
CONFLICT, CHAT, ATTENDED, FAINT, ARRIVAL = (
    EVENTS.index(name) for name in ("queue_conflict", "chat_success", "meeting_attended", "faint", "arrival")
)


class Watch:
    """Look at a batch after every tick, and remember what the next look needs.

    waited: (B, O, A) ticks that somebody has been in line while the object was usable.
    patience: (B, O, A) what docs/rules.md#queues promises about them, as the agent came into the line.
    """

    def __init__(self, towns: Towns) -> None:
        self.towns = towns
        shape = (*towns.state.objects.shape, towns.state.agents.shape[1])
        self.waited, self.patience = np.zeros(shape, int), np.zeros(shape, int)
        self.remember()

    def remember(self) -> None:
        """Take the state as it is for the one before the next tick."""
        state = self.towns.state
        self.agents, self.objects = state.agents.copy(), state.objects.copy()
        self.tally = state.towns["tally"].copy()
        self.place = places_in_line(state)

    def check(self, where: str) -> None:
        """Raise AssertionError, naming what does not hold and for whom, after a tick."""
        state = self.towns.state
        with np.errstate(over="ignore"):
            held = {
                **who_stands_where(self.towns),
                **numbers_in_range(self.towns),
                **one_role_each(state),
                **bonds_in_range(self.towns),
                **rewards_add_up(self.towns),
                **self.lines_move_on(),
                **self.events_are_true(),
            }
        self.remember()
        broken = [
            f"{name}: not at {np.argwhere(~np.asarray(holds))[:5].tolist()}"
            for name, holds in held.items()
            if not (holds if isinstance(holds, bool) else holds.all())
        ]
        assert not broken, "\n".join([where, *broken])

    def lines_move_on(self) -> dict[str, np.ndarray]:
        """No object is contested for ever: whoever stays in line is offered it in bounded time."""
        state, rules = self.towns.state, self.towns.params
        ghost_step_after = rules.constants[0]["ghost_step_after"]
        kinds = rules.kinds[rules.objects["kind"]]
        objects, before, place = state.objects, self.objects, places_in_line(state)
        was_usable = ~before["out_of_order"] & (before["stock"] != 0)
        had = (before["user"] != NOBODY) | (before["holder"] != NOBODY)
        has = (objects["user"] != NOBODY) | (objects["holder"] != NOBODY)
        stays = (place >= 0) & (self.place >= 0)
        self.waited = np.where(stays, self.waited + was_usable[..., None], 0)
        turns = place + 1 + self.head_start(place)
        allowed = turns * (ghost_step_after + kinds["duration_ticks"].astype(int))[:, None]
        self.patience = np.where(stays, self.patience, allowed)
        b, o = (objects["user"] != NOBODY).nonzero()
        user = objects["user"][b, o]
        progress_before = np.where(user == before["user"][b, o], self.agents["progress"][b, user], 0)
        somebody_fainted = state.agents["terminated"].any(axis=1, keepdims=True)
        return {
            "a use goes on": state.agents["progress"][b, user] == progress_before + 1,
            "a holder is not idle for long": (objects["holder"] == NOBODY)
            | (objects["idle_ticks"] < ghost_step_after),
            "what nobody has is offered": ~(was_usable & ~had & (objects["line_length"] > 0))
            | has
            | somebody_fainted,
            "everybody in line has a turn": (place < 0)
            | (self.waited < self.patience)
            | kinds["is_work"][:, None],
        }

    def head_start(self, place: np.ndarray) -> np.ndarray:
        """Bound how often agents of longer waiting go before each who is in line: (B, O, A)."""
        state = self.towns.state
        if self.towns.params.constants[0]["age_priority_weight"] == 0:
            return np.zeros(place.shape, int)
        ticks = state.agents["ticks_waited"].astype(int)
        concerned = place >= 0
        b, o = (state.objects["holder"] != NOBODY).nonzero()
        concerned[b, o, state.objects["holder"][b, o]] = True
        ahead = np.maximum(
            ticks[:, None, :] - ticks[:, :, None], 0
        )  # (B, A who waits, A who has waited longer)
        return concerned.astype(int) @ ahead.transpose(0, 2, 1)

    def events_are_true(self) -> dict[str, np.ndarray]:
        """Each event is there once, is counted, and names people who were in town."""
        state, rules = self.towns.state, self.towns.params
        b, row = (np.arange(state.events.shape[1]) < state.towns["event_count"][:, None]).nonzero()
        events = state.events[b, row]
        kind, actor, rival, thing = (events[name] for name in ("type", "actor", "rival", "object"))
        counted = np.zeros_like(self.tally)
        np.add.at(counted, (b, kind), 1)
        starting = state.perturbations["start_tick"] == state.towns["tick"][:, None] - 1
        once = same_events(~IS_START[kind] & (kind != ATTENDED), b, kind, actor, thing)
        attended = same_events(kind == ATTENDED, b, actor)
        was_here, fainted = self.agents["alive"], state.agents["terminated"]
        quarrel, chat = kind == CONFLICT, kind == CHAT
        shares = state.agents["conflict_events"].sum(axis=1)
        constants, value = rules.constants[0], events["value"]
        in_range = (constants["intensity_min"] <= value) & (value <= constants["intensity_max"])
        return {
            "events are counted": state.towns["tally"] == self.tally + counted,
            "events are told once": once <= 1,
            "nobody attends more meetings than there are": attended <= len(rules.meetings),
            "what starts is announced": counted[:, IS_START].sum(axis=1) == starting.sum(axis=1),
            "events have an actor": (actor != NOBODY) == ~IS_START[kind],
            "events have a rival": (rival != NOBODY) == HAS_RIVAL[kind],
            "nobody is its own rival": (actor != rival) | (actor == NOBODY),
            "events are about a thing": (thing == NOBODY) | ~IS_NOWHERE[kind],
            "who acts was in town": (actor == NOBODY) | was_here[b, actor] | (kind == ARRIVAL),
            "who arrives was not": (kind != ARRIVAL) | ~was_here[b, actor] | fainted[b, actor],
            "rivals were in town": (rival == NOBODY) | was_here[b, rival],
            "who fainted is told": counted[:, FAINT] == fainted.sum(axis=1),
            "who arrived is told": counted[:, ARRIVAL]
            == (state.agents["alive"] & (~was_here | fainted)).sum(axis=1),
            "intensities are in range": ~quarrel | in_range,
            "qualities are in range": ~chat | ((value >= 0) & (value <= 1)),
            "conflicts are shared": shares == counted[:, CONFLICT],
        }


def same_events(chosen: np.ndarray, *columns: np.ndarray) -> int:
    """Count the chosen rows that agree in all columns; return the most."""
    rows = Counter(zip(*(column[chosen].tolist() for column in columns), strict=True))
    return max(rows.values(), default=0)


def places_in_line(state: TownState) -> np.ndarray:
    """Return (B, O, A) the place of each agent in each line, -1 who is not in it."""
    place = np.full(state.line.shape, -1)
    b, o, p = (np.arange(state.line.shape[2]) < state.objects["line_length"][..., None]).nonzero()
    place[b, o, state.line[b, o, p]] = p
    return place


def who_stands_where(towns: Towns) -> dict[str, np.ndarray]:
    state, floor = towns.state, towns.params.floor
    b, i = state.agents["alive"].nonzero()
    y, x = state.agents["y"][b, i] + BORDER, state.agents["x"][b, i] + BORDER
    cell = np.repeat(floor[None], len(state.towns), axis=0)
    cell[b, y, x] = AGENT_CELL + i
    return {
        "agents stand on open floor": floor[y, x] == EMPTY,
        "agents have a tile each": (cell != floor).sum(axis=(1, 2)) == state.agents["alive"].sum(axis=1),
        "boards are cleared": np.full(len(cell), (towns._boards == floor).all()),
    }


def numbers_in_range(towns: Towns) -> dict[str, np.ndarray]:
    agents, objects, legal = towns.state.agents, towns.state.objects, towns.state.agents["legal"]
    counted = towns.params.objects["stock"] != -1
    order = np.sort(towns.state.order, axis=1)
    return {
        "needs are in range": (agents["needs"] >= 0) & (agents["needs"] <= 1),
        "wallets are not negative": agents["wallet"] >= 0,
        "stock is not negative": np.where(counted, objects["stock"] >= 0, objects["stock"] == -1),
        "prices are not negative": objects["price"] >= 0,
        "everybody may wait": legal & 1 == 1,
        "who is away may only wait": agents["alive"] | (legal == 1),
        "there are nine actions": legal < 1 << ACTION_COUNT,
        "everybody is served once": order == np.arange(agents.shape[1]),
        "episodes end": towns.state.towns["over"]
        | (towns.state.towns["tick"] < towns.params.constants[0]["ticks"]),
    }


def one_role_each(state: TownState) -> dict[str, np.ndarray]:
    """One user, one holder and one line per object, and everybody in at most one of these, once."""
    agents, objects, place = state.agents, state.objects, places_in_line(state)
    found = {
        "who is free has nothing": (agents["role"] == FREE) == (agents["object"] == NOBODY),
        "who is away is free": agents["alive"] | (agents["role"] == FREE),
        "lines hold nobody twice": (place >= 0).sum(axis=2) == objects["line_length"],
    }
    places = {WAITING: (place >= 0).nonzero()}
    for role, party in ((USING, "user"), (HOLDING, "holder")):
        b, o = (objects[party] != NOBODY).nonzero()
        places[role] = (b, o, objects[party][b, o])
    for role, (b, o, i) in places.items():
        found[f"role {role} fits the agent"] = (agents["role"][b, i] == role) & (agents["object"][b, i] == o)
        found[f"role {role} is of one agent each"] = (agents["role"] == role).sum() == len(b)
    found["nobody uses what is offered"] = (objects["user"] == NOBODY) | (objects["holder"] == NOBODY)
    return found


def bonds_in_range(towns: Towns) -> dict[str, np.ndarray]:
    state, most = towns.state, towns.params.constants[0]["max_edges"]
    found = {
        "rivalry is not negative": state.rivalry >= 0,
        "rivals are few": (state.rivalry > 0).sum(axis=2) <= most,
        "rivalry is known of": (state.rivalry > 0).any(axis=(1, 2)) <= state.towns["has_rivals"],
    }
    for name in ("rivalry", "trust", "familiarity"):
        bonds = getattr(state, name)
        found[f"{name} is in range"] = abs(bonds) <= 1
        found[f"{name} is symmetric"] = bonds == bonds.transpose(0, 2, 1)
        found[f"{name} is not of oneself"] = bonds.diagonal(axis1=1, axis2=2) == 0
    return found


def rewards_add_up(towns: Towns) -> dict[str, np.ndarray]:
    agents, clip = towns.state.agents, towns.params.constants[0]["clip_per_tick"]
    reward, terms = agents["reward"], agents["terms"]
    return {
        "terms sum to the reward": abs(terms.sum(axis=2) - reward) <= 1e-9 * (1 + abs(terms).sum(axis=2)),
        "there is a term for each name": terms.shape[2] == len(REWARD_TERMS),
        "rewards are clipped": abs(reward) <= clip,
        "who is away earns nothing": agents["alive"] | agents["terminated"] | (reward == 0),
    }
