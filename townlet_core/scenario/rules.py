"""The constants of the rules and the coefficients of the reward, with their defaults (docs/rules.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from townlet_core.scenario.once_per_need import FROM_TABLE, once_per_need
from townlet_core.scenario.values import MAX_AGENTS, Amount, Share, Side, SomeTicks, Ticks, Unit, Words, means
from townlet_core.vocab import VITAL_NEEDS


@once_per_need
class NeedRules(Words):
    """Needs and fainting."""

    NEED_decay: Annotated[Unit, means("{name} lost per tick")] = FROM_TABLE
    faint_threshold: Annotated[Unit, means(f"{' or '.join(VITAL_NEEDS)} at or below this faints")] = 0.03
    respawn_delay_ticks: Annotated[
        Ticks | None, means("ticks until a newcomer replaces the agent; `null`: never")
    ] = None

    if TYPE_CHECKING:  # which does not see the keys of each need

        def __init__(
            self, *, faint_threshold: float = ..., respawn_delay_ticks: int | None = ..., **decay: float
        ) -> None: ...
        def __getattr__(self, key: str) -> float: ...


class QueueRules(Words):
    """Queues, offers and displacement."""

    cooldown_ticks: Annotated[
        Ticks, means("ticks after a use during which the agent may not rejoin the queue")
    ] = 60
    age_priority_weight: Annotated[
        Amount,
        means("weight of waiting time against position in the queue; 0: first come, first served"),
    ] = 0.0
    ghost_step_after: Annotated[
        SomeTicks, means("ticks an agent may hold an offered object without starting while others wait")
    ] = 3
    patience_ticks: Annotated[
        SomeTicks, means("ticks the first in the queue waits behind a busy user before a conflict")
    ] = 8


class ConflictRules(Words):
    """Intensity of conflicts."""

    boost_ghost_step: Annotated[Amount, means("boost when an idle holder is displaced")] = 1.5
    boost_contention: Annotated[
        Amount, means("boost when two agents request the same free object at once")
    ] = 1.0
    boost_impatience: Annotated[Amount, means("boost when the first in the queue has waited too long")] = 0.5
    intensity_per_waiter: Annotated[Amount, means("intensity per waiting agent beyond the first")] = 0.25
    intensity_min: Annotated[Amount, means("minimum intensity; at most `intensity_max`")] = 0.1
    intensity_max: Annotated[Amount, means("maximum intensity")] = 5.0


class RivalryRules(Words):
    """Rivalry, which conflicts increase."""

    increment_per_conflict: Annotated[Unit, means("rivalry gained per conflict, times its intensity")] = 0.15
    decay_per_tick: Annotated[Unit, means("rivalry lost per tick")] = 0.005
    eviction_threshold: Annotated[Unit, means("rivalry at or below this is forgotten")] = 0.05
    max_edges: Annotated[
        int,
        Field(ge=1, le=MAX_AGENTS),
        means("maximum number of rivals per agent; the weakest is forgotten first"),
    ] = 6
    avoid_threshold: Annotated[Share, means("rivalry at or above which the agents avoid each other")] = 0.7


class RelationshipRules(Words):
    """Trust and familiarity of both agents of a pair."""

    handover_rivalry: Annotated[Unit, means("rivalry lost by a polite hand-over")] = 0.05
    handover_trust: Annotated[Unit, means("trust gained by a polite hand-over")] = 0.05
    handover_familiarity: Annotated[Unit, means("familiarity gained by a polite hand-over")] = 0.05
    chat_trust: Annotated[Unit, means("trust gained by a chat")] = 0.02
    chat_familiarity: Annotated[Unit, means("familiarity gained by a chat")] = 0.05
    chat_failure_trust: Annotated[Unit, means("trust lost by a chat that fails")] = 0.02
    meal_radius: Annotated[
        Side, means("distance in tiles within which a meal is shared; diagonals count as one")
    ] = 2
    meal_memory_ticks: Annotated[Ticks, means("ticks within which a meal is shared")] = 15
    meal_trust: Annotated[Unit, means("trust gained by a shared meal")] = 0.03
    meal_familiarity: Annotated[Unit, means("familiarity gained by a shared meal")] = 0.08
    help_trust: Annotated[Unit, means("trust gained by covering for a late colleague")] = 0.1
    takeover_trust: Annotated[Unit, means("trust gained by taking an absent colleague's shift")] = 0.15
    meeting_trust: Annotated[Unit, means("trust gained by attending a meeting together")] = 0.05
    meeting_familiarity: Annotated[Unit, means("familiarity gained by attending a meeting together")] = 0.1


class EmploymentRules(Words):
    """Lateness and absence."""

    grace_ticks: Annotated[Ticks, means("ticks after the start within which an arrival is on time")] = 5
    absent_cutoff: Annotated[
        Ticks,
        means(
            "ticks after the start past which an agent that has not arrived is absent; at least `grace_ticks`"
        ),
    ] = 30


class Rules(Words):
    """Every constant of the rules."""

    ticks_per_day: Annotated[SomeTicks, means("length of a day")] = 1440
    day_start_tick: Annotated[
        Ticks, means("time of day at the first tick of an episode; less than `ticks_per_day`")
    ] = 0
    epsilon: Annotated[Unit, means("probability that the scripted policy takes a random legal action")] = 0.02
    needs: Annotated[NeedRules, means("needs and fainting")] = NeedRules()
    queues: Annotated[QueueRules, means("queues and offers")] = QueueRules()
    conflict: Annotated[ConflictRules, means("intensity of conflicts")] = ConflictRules()
    rivalry: Annotated[RivalryRules, means("rivalry")] = RivalryRules()
    relationships: Annotated[RelationshipRules, means("trust and familiarity")] = RelationshipRules()
    employment: Annotated[EmploymentRules, means("lateness and absence")] = EmploymentRules()


@once_per_need
class Rewards(Words):
    """The coefficients of the reward; with all of them 0, every reward is 0."""

    survival: Annotated[Amount, means("reward per tick alive")] = 0.01
    wages: Annotated[Amount, means("reward per unit of money earned")] = 1.0
    punctuality_bonus: Annotated[Amount, means("reward for arriving on time, once per shift")] = 0.2
    lateness: Annotated[Amount, means("penalty per late tick, times the job's `lateness_penalty`")] = 1.0
    satisfaction: Annotated[Amount, means("reward per unit of need gained on completion")] = 1.0
    NEED_deficit: Annotated[Amount, means("penalty per tick, times (1 − {name})²")] = FROM_TABLE
    conflict_penalty: Annotated[Amount, means("penalty for both parties, times intensity")] = 0.1
    faint_penalty: Annotated[Amount, means("penalty for fainting")] = 1.0
    clip_per_tick: Annotated[
        float,
        Field(gt=0, le=1_000_000, allow_inf_nan=False),
        means("bound of the absolute reward per tick"),
    ] = 1.0

    if TYPE_CHECKING:  # which does not see the keys of each need

        def __init__(self, **coefficients: float) -> None: ...
        def __getattr__(self, key: str) -> float: ...
