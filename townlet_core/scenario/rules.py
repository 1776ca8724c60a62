"""The constants of the town, with their defaults: what docs/rules.md calls by name, and what is paid for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from townlet_core.scenario.once_per_need import FROM_TABLE, once_per_need
from townlet_core.scenario.values import MAX_AGENTS, Amount, Share, Side, SomeTicks, Ticks, Unit, Words, means
from townlet_core.vocab import VITAL_NEEDS


@once_per_need
class NeedRules(Words):
    """Needs and fainting."""

    NEED_decay: Annotated[Unit, means("{name} lost per tick")] = FROM_TABLE
    faint_threshold: Annotated[Unit, means(f"{' or '.join(VITAL_NEEDS)} at or below this faints")] = 0.03
    respawn_delay_ticks: Annotated[Ticks | None, means("when a newcomer takes the place; `null`: never")] = (
        None
    )


class QueueRules(Words):
    """Lines, offers and displacement."""

    cooldown_ticks: Annotated[Ticks, means("after finishing, for how long one may not rejoin the line")] = 60
    age_priority_weight: Annotated[
        Amount,
        means("how much waiting counts against position in line; 0: strictly first come, first served"),
    ] = 0.0
    ghost_step_after: Annotated[
        SomeTicks, means("for how long one may hold an offered object without starting while somebody waits")
    ] = 3
    patience_ticks: Annotated[
        SomeTicks, means("how long the first in line waits behind a busy user before a quarrel")
    ] = 8


class ConflictRules(Words):
    """How bad a quarrel is."""

    boost_ghost_step: Annotated[Amount, means("boost when an idle holder is displaced")] = 1.5
    boost_contention: Annotated[Amount, means("boost when two ask for the same free object at once")] = 1.0
    boost_impatience: Annotated[Amount, means("boost when the first in line has waited too long")] = 0.5
    intensity_per_waiter: Annotated[Amount, means("for each waiting agent beyond the first")] = 0.25
    intensity_min: Annotated[Amount, means("least intensity; at most `intensity_max`")] = 0.1
    intensity_max: Annotated[Amount, means("greatest intensity")] = 5.0


class RivalryRules(Words):
    """How quarrels are remembered."""

    increment_per_conflict: Annotated[Unit, means("rivalry gained per conflict, times its intensity")] = 0.15
    decay_per_tick: Annotated[Unit, means("rivalry lost per tick")] = 0.005
    eviction_threshold: Annotated[Unit, means("rivalry at or below this is forgotten")] = 0.05
    max_edges: Annotated[
        int,
        Field(ge=1, le=MAX_AGENTS),
        means("rivals one can remember; the weakest is forgotten first"),
    ] = 6
    avoid_threshold: Annotated[Share, means("rivalry from which one avoids the other")] = 0.7


class RelationshipRules(Words):
    """How kindness is remembered. Each number moves trust and familiarity of both."""

    handover_rivalry: Annotated[Unit, means("rivalry lost by a polite hand-over")] = 0.05
    handover_trust: Annotated[Unit, means("trust gained by a polite hand-over")] = 0.05
    handover_familiarity: Annotated[Unit, means("familiarity gained by a polite hand-over")] = 0.05
    chat_trust: Annotated[Unit, means("trust gained by a chat")] = 0.02
    chat_familiarity: Annotated[Unit, means("familiarity gained by a chat")] = 0.05
    chat_failure_trust: Annotated[Unit, means("trust lost by a chat that fails")] = 0.02
    meal_radius: Annotated[Side, means("within how many tiles a meal is shared; diagonals count as one")] = 2
    meal_memory_ticks: Annotated[Ticks, means("within how many ticks a meal is shared")] = 15
    meal_trust: Annotated[Unit, means("trust gained by a shared meal")] = 0.03
    meal_familiarity: Annotated[Unit, means("familiarity gained by a shared meal")] = 0.08
    help_trust: Annotated[Unit, means("trust gained by covering for a late colleague")] = 0.1
    takeover_trust: Annotated[Unit, means("trust gained by taking an absent colleague's shift")] = 0.15
    meeting_trust: Annotated[Unit, means("trust gained by coming together at a meeting")] = 0.05
    meeting_familiarity: Annotated[Unit, means("familiarity gained by coming together at a meeting")] = 0.1


class EmploymentRules(Words):
    """Punctuality."""

    grace_ticks: Annotated[Ticks, means("within how many ticks of the start an arrival is on time")] = 5
    absent_cutoff: Annotated[
        Ticks, means("after how many ticks one counts as absent; at least `grace_ticks`")
    ] = 30


class Rules(Words):
    """Every constant of the town."""

    ticks_per_day: Annotated[SomeTicks, means("length of a day")] = 1440
    day_start_tick: Annotated[
        Ticks, means("time of day at the first tick of an episode; less than `ticks_per_day`")
    ] = 0
    epsilon: Annotated[Unit, means("how often the scripted policy takes a random legal action")] = 0.02
    needs: Annotated[NeedRules, means("needs and fainting")] = NeedRules()
    queues: Annotated[QueueRules, means("lines and offers")] = QueueRules()
    conflict: Annotated[ConflictRules, means("how bad a quarrel is")] = ConflictRules()
    rivalry: Annotated[RivalryRules, means("how quarrels are remembered")] = RivalryRules()
    relationships: Annotated[RelationshipRules, means("how kindness is remembered")] = RelationshipRules()
    employment: Annotated[EmploymentRules, means("punctuality")] = EmploymentRules()


@once_per_need
class Rewards(Words):
    """Every coefficient of the reward; all zero makes a town that pays nothing."""

    survival: Annotated[Amount, means("paid per tick alive")] = 0.01
    wages: Annotated[Amount, means("paid per unit of money earned")] = 1.0
    punctuality_bonus: Annotated[Amount, means("paid once per shift, for arriving in time")] = 0.2
    lateness: Annotated[Amount, means("taken per late tick, times the job's `lateness_penalty`")] = 1.0
    satisfaction: Annotated[Amount, means("paid per unit of need gained on completion")] = 1.0
    NEED_deficit: Annotated[Amount, means("taken per tick, times (1 − {name})²")] = FROM_TABLE
    conflict_penalty: Annotated[Amount, means("taken from both parties, times intensity")] = 0.1
    faint_penalty: Annotated[Amount, means("taken for fainting")] = 1.0
    clip_per_tick: Annotated[
        float,
        Field(gt=0, le=1_000_000, allow_inf_nan=False),
        means("no reward of a tick is greater, nor less than its negative"),
    ] = 1.0
