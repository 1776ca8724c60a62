"""The town again, slowly: one town in plain Python, written from docs/rules.md alone, heading by heading."""

from __future__ import annotations

from reference.entities import (
    FREE,
    HOLDING,
    MOVES,
    NEEDS,
    USING,
    WAITING,
    Agent,
    Gathering,
    Thing,
    mix,
    walking_distances,
    within,
)
from reference.meetings_to_episodes import (
    chats,
    episodes,
    fainting,
    meetings,
    newcomers,
    relationships,
    rewards,
    rivalry_decay,
)
from reference.movement_to_employment import affordances, employment, movement, needs, queues

from townlet_core.scenario.model import Meeting, Outage, Scenario
from townlet_core.vocab import RELEASE, REQUEST, REWARD_TERMS, START, WAIT

DRAW_ORDER, DRAW_HAPPENS, DRAW_START = 0, 6, 7


class ReferenceTown:
    """One town. `events` holds those of the last tick; the first episode has begun."""

    def __init__(self, scenario: Scenario, seed: int, town: int) -> None:
        self.scenario, self.rules, self.seed, self.town = scenario, scenario.rules, seed, town
        self.kind_names, self.feature_names = tuple(scenario.all_kinds), scenario.feature_names
        self.episode = -1
        self.invalid_actions = 0  # over all episodes
        self.restart()

    def restart(self) -> None:
        """Begin the next episode."""
        self.episode += 1
        self.key = mix(mix(mix(0, self.seed), self.town), self.episode)
        self.tick, self.over = 0, False
        self.events: list[dict] = []
        kinds = self.scenario.all_kinds
        self.objects = []
        for index, spec in enumerate(self.scenario.objects):
            kind = kinds[spec.kind]
            stock = kind.stock if spec.stock is None else spec.stock
            self.objects.append(Thing(index, spec.kind, kind, *spec.position, stock))
        width, height = self.scenario.size
        taken = set(self.scenario.walls) | {(thing.x, thing.y) for thing in self.objects}
        self.floor = frozenset({(x, y) for x in range(width) for y in range(height)} - taken)
        for thing in self.objects:
            thing.steps = walking_distances((thing.x, thing.y), self.floor)
        self.agents = [self.newcomer(index) for index in range(len(self.scenario.agents))]
        self.rivalry: dict[tuple[int, int], float] = {}
        self.trust: dict[tuple[int, int], float] = {}
        self.familiarity: dict[tuple[int, int], float] = {}
        self.draw_perturbations()
        self.decide_what_is_possible()

    def newcomer(self, index: int) -> Agent:
        """Return the agent of this number as the scenario describes it."""
        spec = self.scenario.agents[index]
        job = self.scenario.jobs[spec.job] if spec.job else None
        names = [thing.id for thing in self.scenario.objects]
        workplace = self.objects[names.index(job.workplace)] if job else None
        needs = {need: getattr(spec.needs, need) for need in NEEDS}
        agent = Agent(index, spec, job, workplace, *spec.position, needs, spec.wallet)
        agent.terms = dict.fromkeys(REWARD_TERMS, 0.0)
        return agent

    def step(self, actions: list[int]) -> None:
        """Play one tick."""
        if self.over:
            return
        self.events = []
        in_order = sorted(self.here(), key=lambda agent: self.draw(agent, DRAW_ORDER))
        chosen = self.actions(actions)
        self.announce()
        movement(self, chosen, in_order)
        queues(self, chosen, in_order)
        affordances(self, chosen)
        needs(self)
        employment(self)
        meetings(self)
        relationships(self)
        chats(self, chosen, in_order)
        rivalry_decay(self)
        rewards(self)
        fainting(self)
        newcomers(self)
        episodes(self)
        self.decide_what_is_possible()

    # Small questions

    def here(self) -> list[Agent]:
        return [agent for agent in self.agents if agent.in_town]

    def things_of(self, kind_name: str) -> list[Thing]:
        return [thing for thing in self.objects if thing.kind_name == kind_name]

    def draw(self, agent: Agent, purpose: int) -> int:
        return mix(mix(mix(self.key, self.tick), agent.index), purpose)

    @property
    def time_of_day(self) -> int:
        return (self.rules.day_start_tick + self.tick) % self.rules.ticks_per_day

    def agent_at(self, x: int, y: int) -> Agent | None:
        return next((agent for agent in self.here() if (agent.x, agent.y) == (x, y)), None)

    def is_out_of_order(self, thing: Thing) -> bool:
        return any(
            is_hit(outage, thing) and start <= self.tick < start + outage.duration_ticks
            for outage, start in self.outages
        )

    def price(self, thing: Thing) -> float:
        price = thing.kind.cost
        for spike, start in self.price_spikes:
            if spike.kind == thing.kind_name and start <= self.tick < start + spike.duration_ticks:
                price *= spike.factor
        return price

    def emit(
        self,
        type: str,
        *,
        object: Thing | None = None,
        actor: Agent | None = None,
        rival: Agent | None = None,
        **fields: str | float,
    ) -> None:
        self.events.append(
            {
                "tick": self.tick,
                "episode": self.episode,
                "town": self.town,
                "type": type,
                "object": object.index if object else -1,
                "actor": actor.index if actor else -1,
                "rival": rival.index if rival else -1,
                **fields,
            }
        )

    def emit_conflict(self, reason: str, thing: Thing, actor: Agent, rival: Agent) -> None:
        rules, length = self.rules.conflict, len(thing.line)
        intensity = getattr(rules, f"boost_{reason}") + rules.intensity_per_waiter * max(length - 1, 0)
        intensity = within(rules.intensity_min, intensity, rules.intensity_max)
        thing.conflict_since_offer = True
        self.emit(
            "queue_conflict",
            object=thing,
            actor=actor,
            rival=rival,
            reason=reason,
            queue_length=length,
            intensity=intensity,
        )

    def leave(self, agent: Agent, politely: bool) -> None:
        """Have the agent out of line, offer or use. Politely: it may have handed the object over."""
        if agent.role == WAITING:
            agent.taken.line.remove(agent)
        elif agent.role == HOLDING:
            agent.taken.holder = None
        elif agent.role == USING:
            agent.taken.user = None
        if agent.role in (HOLDING, USING):
            agent.taken.left_by = agent if politely else None
        agent.role, agent.thing, agent.ticks_waited, agent.progress = FREE, None, 0, 0

    def is_on_shift(self, agent: Agent) -> bool:
        return agent.job is not None and agent.job.start_tick <= self.time_of_day < agent.job.end_tick

    def colleagues(self, agent: Agent) -> list[Agent]:
        return [
            o for o in self.here() if o is not agent and agent.workplace and o.workplace is agent.workplace
        ]

    def covered_by(self, agent: Agent, thing: Thing) -> Agent | None:
        for other in self.colleagues(agent):
            if (
                self.is_on_shift(other)
                and other.shift_state in ("late", "absent")
                and thing.user is not other
            ):
                return other
        return None

    def may_work(self, agent: Agent, thing: Thing) -> bool:
        if agent.workplace is not thing:
            return False
        return self.is_on_shift(agent) or self.covered_by(agent, thing) is not None

    # Actions

    def decide_what_is_possible(self) -> None:
        """Set `legal` for the tick to come."""
        for agent in self.agents:
            agent.legal = [self.is_possible(agent, action) for action in range(9)]

    def beside(self, agent: Agent) -> list[Thing]:
        return [thing for thing in self.objects if abs(thing.x - agent.x) + abs(thing.y - agent.y) == 1]

    def is_possible(self, agent: Agent, action: int) -> bool:
        if action == WAIT or not agent.in_town:
            return action == WAIT
        if action in MOVES:
            dx, dy = MOVES[action]
            tile = (agent.x + dx, agent.y + dy)
            return agent.role != USING and tile in self.floor and self.agent_at(*tile) is None
        if action == REQUEST:
            return agent.role == FREE and self.to_join(agent) is not None
        if action == START:
            return agent.role == HOLDING and self.may_start(agent, agent.taken)
        if action == RELEASE:
            return agent.role != FREE
        return agent.role != USING and any(self.agents_around(agent))

    def to_join(self, agent: Agent) -> Thing | None:
        return next((thing for thing in self.beside(agent) if self.may_join(agent, thing)), None)

    def may_join(self, agent: Agent, thing: Thing) -> bool:
        if self.tick < agent.cooldown_until.get(thing.index, 0) or agent.wallet < self.price(thing):
            return False
        return not thing.kind.is_work or self.may_work(agent, thing)

    def may_start(self, agent: Agent, thing: Thing) -> bool:
        return (
            thing in self.beside(agent)
            and agent.wallet >= self.price(thing)
            and thing.stock != 0
            and not self.is_out_of_order(thing)
            and (not thing.kind.is_work or self.may_work(agent, thing))
        )

    def agents_around(self, agent: Agent) -> list[Agent]:
        return [
            other
            for other in self.here()
            if other is not agent and max(abs(other.x - agent.x), abs(other.y - agent.y)) == 1
        ]

    def actions(self, actions: list[int]) -> list[int]:
        """Return what each agent really does; forget what belonged to the tick before."""
        chosen = []
        for agent, action in zip(self.agents, actions, strict=True):
            agent.invalid = not (0 <= action < 9 and agent.legal[action])
            self.invalid_actions += agent.invalid and agent.in_town
            chosen.append(WAIT if agent.invalid else action)
            agent.last_action, agent.last_success = chosen[-1], not agent.invalid
            agent.fainted = agent.came_on_time = agent.late_now = agent.terminated = agent.truncated = False
            agent.earned = agent.gained = agent.reward = 0.0
            agent.terms = dict.fromkeys(REWARD_TERMS, 0.0)
            agent.is_new = False
        return chosen

    # Perturbations

    def draw_perturbations(self) -> None:
        """Decide what happens in this episode, and when; they are numbered in the order of the rules."""
        plan = self.scenario
        number = 0
        happening: list[list[tuple]] = []
        for sort in (plan.outages, plan.price_spikes, plan.meetings):
            happening.append([])
            for perturbation in sort:
                earliest, latest = perturbation.start_range
                if self.chance(number, DRAW_HAPPENS) < perturbation.probability:
                    start = earliest + int(self.chance(number, DRAW_START) * (latest - earliest + 1))
                    happening[-1].append((perturbation, start))
                number += 1
        self.outages, self.price_spikes, arranged = happening
        self.gatherings = [self.gathering(meeting, start) for meeting, start in arranged]

    def chance(self, number: int, purpose: int) -> float:
        return (mix(mix(mix(self.key, 0), number), purpose) >> 11) / (1 << 53)

    def gathering(self, meeting: Meeting, start: int) -> Gathering:
        names = [thing.id for thing in self.scenario.objects]
        if isinstance(meeting.place, str):
            thing = self.objects[names.index(meeting.place)]
            place = (thing.x, thing.y)
        else:
            thing, place = None, meeting.place
        return Gathering(meeting, thing, place, start, walking_distances(place, self.floor))

    def announce(self) -> None:
        """Emit the events of what starts in this tick."""
        for outage, start in self.outages:
            if start == self.tick:
                hit = [thing for thing in self.objects if is_hit(outage, thing)]
                self.emit("utility_outage", object=hit[0] if hit else None)
        for spike, start in self.price_spikes:
            if start == self.tick:
                dear = [thing for thing in self.objects if thing.kind_name == spike.kind]
                self.emit("price_spike", object=dear[0] if dear else None)
        for gathering in self.gatherings:
            if gathering.start_tick == self.tick:
                self.emit("meeting", object=gathering.thing)

    def is_invited(self, agent: Agent, gathering: Gathering) -> bool:
        return not gathering.meeting.agents or agent.spec.id in gathering.meeting.agents


def is_hit(outage: Outage, thing: Thing) -> bool:
    if outage.utility:
        return thing.kind.utility == outage.utility
    return thing.kind_name == outage.kind
