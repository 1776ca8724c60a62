"""The expressions of --where: what they mean, and that everything else is refused with its place."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from replay_samples import make_sample

from townlet_core.errors import InputError
from townlet_core.replay.facts import sample_facts
from townlet_core.replay.manifest import unlisted_entry
from townlet_core.replay.sample import save_sample
from townlet_core.replay.where import MAX_DEPTH, MAX_LENGTH, Where

FACTS = {
    "reward_sum": 1.5,
    "timesteps": 80,
    "agent_id": "anna",
    "seed": 7,
    "capture.seed": 7,
    "deterministic": True,
    "zero": 0.0,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("reward_sum > 0", True),
        ("0 < reward_sum <= 1.5", True),
        ("0 < reward_sum < 1.5", False),
        ("reward_sum > 2 or timesteps == 80", True),
        ("not (reward_sum > 2) and timesteps != 79", True),
        ("(reward_sum + 1) * 2 - timesteps / 16 == 0", True),
        ("-reward_sum < +zero", True),
        ("agent_id in ('anna', 'ben')", True),
        ("agent_id not in ['anna']", False),
        ("agent_id > 'amy'", True),
        ("seed == 7 and capture.seed == 7", True),
        ("seed == 7.0", True),
        ("matches(agent_id, 'an*')", True),
        ("matches(agent_id, 'AN*')", False),
        ("deterministic == true and deterministic", True),
        ("has(epsilon) and epsilon > 0", False),
        ("has(seed) and has(capture.seed)", True),
        ("false or\n  reward_sum\n > 1", True),
    ],
)
def test_an_expression_means_what_it_means_in_python(text, holds):
    assert Where(text).holds(FACTS, "sample") is holds


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "1:1", "is not finished"),
        ("  reward_sum >", "1:15", "is not finished"),
        ("seed 7", "1:6", "invalid syntax"),
        ("(reward_sum > 0", "1:1", "was never closed"),
        ("reward_sum > 0 and\n  seed is 7", "2:11", "expected <, <=, >, >=, ==, != or in before '7'"),
        ("__import__('os')", "1:1", "is not part of the language"),
        ("'é' == agent_id and [1]", "1:21", "'[1]' is not part of the language"),
        ("seed.real > 1", "1:1", "'seed.real' is not part of the language"),
        ("capture.seed.real > 1", "1:1", "is not part of the language"),
        ("seed in agent_id", "1:9", "expected a list of values after in"),
        ("seed ** 9 > 1", "1:1", "'seed ** 9' is not part of the language"),
        ("matches(agent_id, agent_id)", "1:1", "is not part of the language"),
        ("None == seed", "1:1", "'None' is not part of the language"),
        ("1j == seed", "1:1", "'1j' is not part of the language"),
        ("reward_sum > 0 # 1", "1:16", "found '# 1' after the expression"),
        ("(reward_sum > 0) # 1\n and seed > 9", "1:18", "after the expression"),
    ],
)
def test_other_text_is_refused_with_line_and_column(text, place, message):
    with pytest.raises(InputError) as refusal:
        Where(text)
    assert str(refusal.value).startswith(f"--where:{place}: ")
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("reward_sun > 0", "1:1", "has no 'reward_sun' (did you mean 'reward_sum'?)"),
        ("seed > 0 and\n epsilon > 0", "2:2", "has no 'epsilon'"),
        ("agent_id == 3", "1:13", "is 3, expected a text like 'anna'"),
        ("seed in (1, 'anna')", "1:13", "is 'anna', expected a number like 7"),
        ("deterministic == 1", "1:18", "is 1, expected true or false like True"),
        ("deterministic > false", "1:17", "expected == or != between true and false"),
        ("reward_sum", "1:1", "is 1.5, expected true or false"),
        ("seed and true", "1:1", "is 7, expected true or false"),
        ("agent_id + 1 > 0", "1:1", "is 'anna', expected a number"),
        ("matches(seed, '7')", "1:9", "is 7, expected a text"),
        ("reward_sum / zero > 1", "1:1", "division by zero"),
        ("1e308 * 10 > 1", "1:1", "is inf, expected a finite number"),
        (f"{'9' * 400} * 1 > 1", "1:1", "too large"),
    ],
)
def test_what_cannot_be_said_of_a_sample_is_an_error_that_names_it(text, place, message):
    where = Where(text)
    with pytest.raises(InputError) as refusal:
        where.holds(FACTS, "anna_001.npz")
    assert str(refusal.value).startswith(f"--where:{place}: anna_001.npz: ")
    assert message in str(refusal.value)


def test_length_and_depth_are_bounded():
    assert Where(f"{'-' * (MAX_DEPTH - 1)}1 < 2").holds({}, "")
    for text in ("-" * MAX_DEPTH + "1 < 2", "(" * 900 + "1" + ")" * 900, " " * MAX_LENGTH + "true"):
        with pytest.raises(InputError):
            Where(text)


def test_the_names_without_a_guard_are_known_with_their_place():
    where = Where("has(epsilon) and epsilon > 0 and\n (seed > 1 or seed < capture.town)")
    assert where.names == {"seed": "--where:2:3", "capture.town": "--where:2:22"}


WORDS = [*FACTS, "has", "matches", "(", ")", ",", "'an*'", "in", "not", "and", "or", "<", "==", "-", "/", "1"]


@given(st.text(max_size=60) | st.lists(st.sampled_from([*WORDS, "\n"]), max_size=12).map(" ".join))
@example("\x00")
@example("\ud800")
@example("'\\N{x}'")
def test_any_text_gives_a_truth_or_an_input_error(text):
    try:
        result = Where(text).holds(FACTS, "sample")
    except InputError as error:
        result = str(error)
    assert result in (True, False) or result.startswith("--where")


@given(st.text(string.printable, max_size=40))
def test_any_pattern_is_matched_or_refused(pattern):
    assert Where(f"matches(agent_id, {pattern!r})").holds(FACTS, "") in (True, False)


def test_the_facts_of_a_sample_are_its_metadata_its_origin_and_its_metrics(tmp_path):
    sample = make_sample(6, "anna", 3)
    save_sample(sample, tmp_path, "s")
    facts = sample_facts(unlisted_entry(tmp_path / "s.npz"))
    expected = {"agent_id": "anna", "seed": 3, "capture.seed": 3, "town": 0, "timesteps": 6}
    assert expected.items() <= facts.items()
    assert facts["reward_sum"] == sample.metadata["metrics"]["reward_sum"]
    assert "feature_names" not in facts


def test_facts_of_a_sample_without_recorded_metrics_are_computed(captures):
    folder = captures / "two_step"
    facts = sample_facts(unlisted_entry(folder / "observation_hybrid_sample_conflict_high.npz"))
    assert facts["agent_id"] == "observation_hybrid_sample_conflict_high"
    assert facts["rivalry_max_max"] > 0
