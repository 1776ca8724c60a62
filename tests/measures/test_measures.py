"""Every measure, worked out by hand for an episode of two agents."""

import numpy as np
import pytest

from townlet_core.measures.inequality import gini
from townlet_core.measures.table import MEASURES, estimate_measures, measure_episodes
from townlet_core.measures.tally import OUTCOMES, Events, Tally, Tick
from townlet_core.vocab import CONFLICT_REASONS, EVENTS

ANN, BO = 0, 1
NOBODY = -1


def events_of(*events):
    """Events of a tick of one episode: type, reason, actor, rival."""
    rows = [
        (0, EVENTS.index(kind), CONFLICT_REASONS.index(reason) if reason else -1, actor, rival)
        for kind, reason, actor, rival in events
    ]
    return Events(*np.array(rows, np.int64).reshape(-1, 5).T)


def tally_of(ticks, events=(), agents=2):
    """Tally an episode of which each tick is given as values per agent; agents live and needs are 1."""
    tally = Tally(1, agents)
    for number, given in enumerate(ticks):
        values = {name: np.array([given.get(name, [0] * agents)], float) for name in OUTCOMES}
        lived = np.array([given.get("lived", [1] * agents)], bool)
        needs = np.repeat(np.array([given.get("needs", [1] * agents)], float)[..., None], 3, axis=2)
        late = np.array([given.get("late", [0] * agents)], float)
        own = [event for tick, *event in events if tick == number]
        tally.add_tick(Tick(lived, needs, late, values), events_of(*own))
    return tally


def measured(ticks, events=(), agents=2):
    return dict(zip(MEASURES, measure_episodes(tally_of(ticks, events, agents).rows())[0], strict=True))


def test_efficiency_the_worst_off_and_the_spread_are_of_returns():
    found = measured([{"reward": [1, 0]}, {"reward": [2, -1]}])  # returns 3 and −1
    assert (found["return"], found["return_min"], found["return_range"]) == (1, -1, 4)


@pytest.mark.parametrize(("returns", "spread"), [([0.43, 0.44, 0.45], 0.02), ([0, 50, 100], 100)])
def test_returns_of_another_scale_have_another_spread_and_no_gini(returns, spread):
    found = measured([{"reward": returns}], agents=3)
    assert found["return_range"] == pytest.approx(spread)
    assert all(found[name] == 0 for name in MEASURES if name.startswith("gini"))


def test_what_a_newcomer_earns_is_not_of_the_first_life():
    # Ann gets 1, faints at −2, is away for a tick, and a newcomer gets 5; Bo gets 1 in every tick.
    found = measured(
        [
            {"reward": [1, 1]},
            {"reward": [-2, 1], "terminated": [1, 0]},
            {"reward": [9, 1], "lived": [0, 1]},
            {"reward": [5, 1]},
        ]
    )
    assert found["return"] == (4 + 4) / 2
    assert found["return_first_life"] == (-1 + 4) / 2
    assert found["faints"] == 0.5


def test_rates_are_per_thousand_ticks_of_an_agent_in_town():
    # 3 agent steps, for Bo is away in one tick; one conflict of intensity 1.5, half of it each agent's
    conflict = {"conflict_events": [0.5, 0.5], "conflict_intensity": [0.75, 0.75]}
    found = measured([conflict, {"lived": [1, 0], "conflict_events": [0, 0.5]}])
    assert found["conflicts"] == pytest.approx(1000 / 3)
    assert found["intensity"] == pytest.approx(1500 / 3)
    assert found["peace"] == pytest.approx(1 / 3)  # 2 of 3 agent steps had a conflict


def test_equality_is_of_wages_uses_and_needs():
    ticks = [{"earned": [1, 3], "needs": [0.5, 1.0]}, {"needs": [0.5, 1.0]}]
    uses = [(0, "shower_complete", "", ANN, NOBODY), (1, "affordance_complete", "", ANN, NOBODY)]
    found = measured(ticks, uses)
    assert found["gini_wages"] == 4 / 16  # |1−3| twice / (2 · 2 · 4)
    assert found["gini_uses"] == 0.5  # one of two has all
    assert found["gini_needs"] == pytest.approx(1 / 6)  # |.5−1| twice / (2 · 2 · 1.5)
    assert (found["wages"], found["uses"], found["need_hunger"]) == (2, 1, 0.75)


def test_sustainability_is_the_mean_time_of_the_uses():
    uses = [(0, "affordance_complete", "", ANN, NOBODY), (1, "sleep_complete", "", ANN, NOBODY)]
    found = measured([{}] * 4, [*uses, (3, "shower_complete", "", BO, NOBODY)])
    assert found["sustainability"] == ((1 + 2) / 2 / 4 + 4 / 4) / 2


def test_reciprocity_is_the_share_of_contests_lost_both_ways():
    contests = [
        (0, "queue_conflict", "contention", ANN, BO),  # Ann, the actor, lost to Bo
        (1, "queue_conflict", "impatience", ANN, BO),  # Ann waits behind Bo
        (2, "queue_conflict", "ghost_step", BO, ANN),  # Bo, the actor, took it from Ann
        (2, "queue_conflict", "contention", BO, ANN),  # Bo lost to Ann
    ]
    found = measured([{}] * 3, contests)
    assert found["reciprocity"] == 2 * min(3, 1) / 4
    assert tally_of([{}] * 3, contests).contests[0].tolist() == [[0, 3], [1, 0]]


def test_hierarchy_is_1_for_a_pecking_order_and_0_without_one():
    lost = [(0, "queue_conflict", "contention", ANN, BO)]
    assert measured([{}], lost)["hierarchy"] == 1  # V = 0, 1: 12/6 · (1/4 + 1/4)
    assert measured([{}])["hierarchy"] == 0
    third = [*lost, (0, "queue_conflict", "contention", ANN, 2), (0, "queue_conflict", "contention", BO, 2)]
    assert measured([{}], third, agents=3)["hierarchy"] == 1
    cycle = [*lost, (0, "queue_conflict", "contention", BO, 2), (0, "queue_conflict", "contention", 2, ANN)]
    assert measured([{}], cycle, agents=3)["hierarchy"] == 0


@pytest.mark.parametrize(
    ("event", "measure"),
    [
        ("queue_handover", "handovers"),
        ("shared_meal", "shared_meals"),
        ("late_help", "late_help"),
        ("shift_takeover", "shift_takeovers"),
        ("chat_success", "chats"),
        ("chat_failure", "chat_failures"),
        ("sleep_complete", "sleeps"),
    ],
)
def test_what_agents_do_for_each_other_is_counted(event, measure):
    found = measured([{}, {}], [(1, event, "", ANN, BO)])
    assert found[measure] == 250  # once in 4 agent steps


def test_an_episode_without_contests_and_uses_does_not_define_their_measures():
    found = measured([{"late": [1, 0]}, {"late": [1, 0]}])
    assert found["late_ticks"] == 1
    assert np.isnan([found["reciprocity"], found["sustainability"]]).all()
    assert np.isnan(measured([{}], agents=1)["hierarchy"])


def test_estimates_are_over_the_episodes_that_define_a_measure():
    values = np.zeros((3, len(MEASURES)))
    values[:, :3] = np.array([[1, np.nan, 3], [1, np.nan, np.nan], [np.nan] * 3]).T
    two, one, none, *_ = estimate_measures(values).values()
    assert two.low < two.mean == 2 < two.high
    assert (one.mean, np.isnan(one.low)) == (1, True)  # one episode has no interval
    assert np.isnan(none).all()


def test_gini_depends_on_the_amounts_and_not_only_on_their_order():
    assert gini(np.array([43.0, 44.0, 45.0])) == pytest.approx(8 / (6 * 132))
    assert gini(np.array([0.0, 50.0, 100.0])) == pytest.approx(400 / (6 * 150))
