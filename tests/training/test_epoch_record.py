"""An epoch's record is put together from parts, and no part overrides another."""

import pytest

from townlet_core.ppo.statistics import EpochStats
from townlet_core.telemetry.fields import FIELDS, REWARD_TERM_FIELDS
from townlet_core.training.epoch_record import (
    EpochPlace,
    EventCounts,
    ReplayData,
    Rewards,
    Rivalry,
    RolloutData,
    epoch_record,
)


def part(kind, **given):
    return kind(**{**dict.fromkeys(kind._fields, 1), **given})


def test_every_field_of_a_record_is_one_that_the_telemetry_knows():
    parts = {"events": part(EventCounts), "rewards": part(Rewards), "rivalry": part(Rivalry)}
    parts["reward_terms"] = dict.fromkeys(REWARD_TERM_FIELDS.values(), 0.5)
    record = epoch_record(part(EpochPlace), part(EpochStats), part(RolloutData, **parts))
    assert set(record) <= {field.name for field in FIELDS}
    assert {"conflict.rivalry_max_mean_avg", "rivalry_max_histogram", "chat_success_events"} <= set(record)
    assert record["reward_wages_mean"] == 0.5
    assert "skipped_in_a_row" not in record


def test_what_is_not_known_is_left_out():
    data = part(ReplayData, events=None, rewards=part(Rewards), rivalry=part(Rivalry))
    record = epoch_record(part(EpochPlace), part(EpochStats), data)
    assert "shared_meal_events" not in record
    assert None not in record.values()


def test_a_field_that_two_parts_give_is_refused():
    with pytest.raises(ValueError, match="Rewards gives reward_mean, which the record has already"):
        epoch_record(part(Rewards), part(EpochStats), part(Rewards))
