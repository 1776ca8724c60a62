"""The dataset card: Markdown that says what is in the data, with a head that YAML readers accept."""

import pytest
from replay_samples import make_sample
from ruamel.yaml import YAML

from townlet_core.errors import InputError
from townlet_core.replay.card import FORMS, dataset_card
from townlet_core.replay.metrics import sample_metrics
from townlet_core.replay.statistics import DatasetStatistics


def statistics_of(*samples):
    statistics = DatasetStatistics()
    for sample in samples:
        statistics.add(sample, sample_metrics(sample))
    return statistics.as_dict()


def head_of(card):
    assert card.startswith("---\n")
    return YAML(typ="safe").load(card.split("---\n")[1])


def test_the_head_is_what_hugging_face_reads():
    card = dataset_card("A town", {"license": "cc-by-4.0"}, statistics_of(make_sample(8)), ["npz"])
    assert head_of(card) == {
        "pretty_name": "A town",
        "license": "cc-by-4.0",
        "task_categories": ["reinforcement-learning"],
        "tags": ["reinforcement-learning", "offline-rl", "multi-agent", "townlet"],
        "size_categories": ["n<1K"],
    }


@pytest.mark.parametrize(
    ("transitions", "category"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**13, "n>1T")],
)
def test_the_size_category_follows_the_transitions(transitions, category):
    statistics = statistics_of(make_sample(8))
    statistics["counts"]["transitions"] = transitions
    assert head_of(dataset_card("x", {}, statistics, []))["size_categories"] == [category]


def test_the_card_names_agents_origin_columns_and_each_form():
    card = dataset_card("A town", {}, statistics_of(make_sample(8), make_sample(8, "ben", 3)), FORMS)
    assert "16 transitions in 2 episodes, of 2 agents" in card
    for part in ("`anna`", "`ben`", "| policy | scripted |", "0 (1 sample), 3 (1 sample)", "`reward_terms`"):
        assert part in card
    for form in FORMS:
        assert f"\n{form}:\n\n```python\n" in card
    assert head_of(card)["license"] == "unknown"


def test_text_from_outside_stays_text():
    title = 'x"\n---\n<script>[a](b)'
    statistics = statistics_of(make_sample(8))
    statistics["agents"]["a`|<b>\n# c"] = statistics["agents"].pop("anna")
    card = dataset_card(title, {"license": "mit\ntags: [x]"}, statistics, [])
    assert head_of(card)["license"] == "unknown"
    assert head_of(card)["pretty_name"] == 'x"\\n---\\n<script>[a](b)'
    assert "<script>" not in card.split("---\n", 2)[2]
    assert "| `a'\\|<b>\\n# c` |" in card


def test_a_form_that_nobody_writes_is_refused():
    with pytest.raises(InputError, match="form 'csv': expected npz, arrow"):
        dataset_card("x", {}, statistics_of(make_sample(8)), ["csv"])
