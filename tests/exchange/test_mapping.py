"""A mistake in a mapping file is told with its line, what was found and what is expected."""

import pytest

from townlet_core.errors import InputError
from townlet_core.exchange.mapping import load_mapping
from townlet_core.vocab import ACTION_LOOKUP

SOUND = "features:\n  x: observation[0]\nactions:\n  names:\n    0: west\n    1: east\n"


def test_what_is_left_out_has_a_default(tmp_path):
    (tmp_path / "m.yaml").write_text(SOUND)
    mapping = load_mapping(tmp_path / "m.yaml")
    assert (mapping.agent, mapping.scenario, mapping.behaviour) == ("agent", "imported", "unknown")
    assert mapping.map is None
    assert mapping.log_probs.constant == 0
    assert mapping.actions.source.path == ("action",)
    assert mapping.actions.ids == {0: ACTION_LOOKUP["west"], 1: ACTION_LOOKUP["east"]}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            ("features:", "feature:"),
            r"m\.yaml:1:1: mapping: unknown key 'feature' \(did you mean 'features'\?\)",
        ),
        (
            ("observation[0]", "observation[x]"),
            r"m\.yaml:2:6: features\.x: is 'observation\[x\]', expected a n",
        ),
        (("observation[0]", "observation[2:2]"), r"'observation\[2:2\]' is empty"),
        (
            ("observation[0]", "[1, 2]"),
            r"m\.yaml:2:6: features\.x: is \[1, 2\], expected a number, or an array",
        ),
        (("  x: observation[0]", "  {}"), r"m\.yaml:2:3: features: is \{\}, expected a block of names"),
        (
            ("1: east", "1: eats"),
            r"m\.yaml:6:8: actions\.names: unknown action 'eats' \(did you mean 'east'\?\)",
        ),
        (("1: east", "one: east"), r"m\.yaml:6:5: actions\.names: 'one' is not a number"),
        (("1: east", "1: west"), "gives one action of ours to several"),
        (("  names:", "  source: action\n  sources: 1\n  names:"), "actions: unknown key 'sources'"),
        (("actions:", "agent: a b\nactions:"), r"m\.yaml:3:8: agent: is 'a b', expected 1 to 64 letters"),
        (("actions:", "behaviour: ''\nactions:"), "behaviour: is '', expected a text of 1 to 200"),
        (("actions:", "map:\n  source: grid\nactions:"), r"m\.yaml:4:3: map: has no channels"),
        (
            ("actions:", "map: {source: grid, channels: a}\nactions:"),
            r"map\.channels: is 'a', expected a list",
        ),
        (
            ("  names:\n    0: west\n    1: east", "  names: west"),
            r"names: is 'west', expected a name of ours",
        ),
        (
            ("  names:", "  edges: [1, 1]\n  names:"),
            r"edges: is \[1, 1\], expected a list of numbers in incr",
        ),
        (("  names:", "  edges: [1]\n  names:"), "expected a list of 2 names, one per interval"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path, changed, sentence):
    assert changed[0] in SOUND
    (tmp_path / "m.yaml").write_text(SOUND.replace(*changed))
    with pytest.raises(InputError, match=sentence):
        load_mapping(tmp_path / "m.yaml")


def test_a_mapping_without_actions_and_one_that_is_no_block_are_refused(tmp_path):
    (tmp_path / "m.yaml").write_text(SOUND.split("actions")[0])
    with pytest.raises(InputError, match=r"m\.yaml:1:1: has no actions"):
        load_mapping(tmp_path / "m.yaml")
    (tmp_path / "m.yaml").write_text("- a")
    with pytest.raises(InputError, match=r"m\.yaml:1:1: is \['a'\], expected a block with features, actions"):
        load_mapping(tmp_path / "m.yaml")
