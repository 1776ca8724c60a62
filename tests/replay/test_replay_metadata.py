"""Every value of a sample's JSON is checked by type, against what is known of it, and against the arrays."""

import pytest
from replay_samples import make_sample

from townlet_core.replay.checks import check_sample
from townlet_core.replay.format import problems
from townlet_core.vocab import ACTION_LOOKUP, REWARD_TERMS


def changed(**changes):
    """The metadata of a sound sample with some keys changed; a change to `...` deletes the key."""
    metadata = make_sample(6).metadata
    capture = metadata["capture"] | changes.pop("capture", {})
    metadata = metadata | {"capture": capture} | changes
    return {key: value for key, value in metadata.items() if value is not ...}


WRONG_VALUES = [
    ("schema_version", "2"),
    ("schema_version", "2.x"),
    ("schema_version", ...),
    ("timesteps", 6.0),
    ("frame_count", True),
    ("value_pred_steps", "7"),
    ("map_shape", [4.0, 11, 11]),
    ("action_dim", 9.0),
    ("action_lookup", {name: float(i) for i, name in enumerate(ACTION_LOOKUP)}),
    ("reward_terms", "wages"),
    ("reward_terms", dict.fromkeys(REWARD_TERMS, 0)),
    ("training_arrays", ["actions", "old_log_probs", "value_preds", "rewards", "dones"]),
    ("training_arrays", [*make_sample(6).metadata["training_arrays"], "dones"]),
    ("behaviour", 7),
    ("behaviour", ""),
    ("value_source", ["none"]),
    ("capture", []),
    ("capture", {"scenario": "a b"}),
    ("capture", {"scenario_sha256": "0" * 63}),
    ("capture", {"seed": -1}),
    ("capture", {"seed": 1.0}),
    ("capture", {"ticks": "6"}),
    ("capture", {"town": True}),
    ("capture", {"first_frame": 1}),
    ("capture", {"epsilon": 1.5}),
    ("capture", {"versions": {"townlet": 1}}),
]


@pytest.mark.parametrize(("key", "value"), WRONG_VALUES)
def test_every_value_of_the_metadata_is_checked(key, value):
    sample = make_sample(6)
    metadata = sample.metadata | {key: value} if value == [] else changed(**{key: value})
    places = [finding.place for finding in problems(check_sample(sample.arrays(), metadata, "a", "b"))]
    assert [place.partition(".")[0] for place in places] == [key]


@pytest.mark.parametrize("key", ["seed", "town", "scenario_sha256", "first_frame", "versions"])
def test_an_origin_that_is_not_told_whole_is_a_warning(key):
    metadata = changed()
    del metadata["capture"][key]
    (found,) = check_sample(make_sample(6).arrays(), metadata, "a", "b")
    assert (found.severity, found.place, f"lacks {key}" in found.message) == ("warning", "capture", True)


def test_a_key_that_nobody_knows_is_allowed():
    assert check_sample(make_sample(6).arrays(), changed(mood="good", capture={"day": 3}), "a", "b") == []
