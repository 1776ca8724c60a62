"""A scenario file loads whole, or says every mistake with its line and column."""

# ruff: noqa: E501  (a message is easier to compare with its cause on one line)

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from townlet_core.errors import InputError, MissingError, ScenarioError
from townlet_core.scenario.catalogue import bundled_scenarios, find_scenario
from townlet_core.scenario.load import MAX_SCENARIO_BYTES, load_scenario, read_scenario, scenario_sha256
from townlet_core.scenario.model import Scenario

GOOD = """\
name: demo
ticks: 10
grid: {size: [6, 5]}
objects:
  - {id: wash, kind: shower, position: [1, 1]}
  - {id: till, kind: checkout, position: [4, 1]}
agents:
  - id: anna
    position: [0, 0]
    job: clerk
    schedule:
      - request: wash
      - start: wash
  - id: ben
    position: [5, 4]
jobs:
  clerk: {workplace: till, start_tick: 1, end_tick: 9}
rules:
  epsilon: 0.1
"""


def lines_of(tmp_path, text):
    """Return the lines of the mistakes in `text`, each without the file's name."""
    path = tmp_path / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert caught.value.hint.startswith("mend the file, then: townlet scenario validate ")
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def test_a_good_file_loads_with_its_values_and_the_defaults(tmp_path):
    (tmp_path / "s.yaml").write_text(GOOD)
    scenario = load_scenario(str(tmp_path / "s.yaml"))
    assert (scenario.name, scenario.ticks, scenario.size) == ("demo", 10, (6, 5))
    assert scenario.agents[0].schedule[1].start == "wash"
    assert scenario.agents[1].needs.hunger == 0.7
    assert scenario.rules.epsilon == 0.1


NAME = "a name (1 to 64 letters, digits, '_', '.' or '-')"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("name: demo", "name: 'de mo'", f"1:7: name: found 'de mo', expected {NAME}"),
        ("name: demo", "name: 7", f"1:7: name: found 7, expected {NAME}; put it in quotes"),
        ("name: demo\n", "", f"1:1: name: missing, expected {NAME}"),
        ("ticks: 10", "ticks: '10'", "2:8: ticks: found '10', expected a whole number from 1 to 1,000,000"),
        ("ticks: 10", "ticks: 1.5", "2:8: ticks: found 1.5, expected a whole number from 1 to 1,000,000"),
        ("ticks: 10", "ticks: true", "2:8: ticks: found true, expected a whole number from 1 to 1,000,000"),
        ("ticks: 10", "ticks:", "2:1: ticks: found nothing, expected a whole number from 1 to 1,000,000"),
        ("ticks: 10", "ticks: 0", "2:8: ticks: found 0, expected a whole number from 1 to 1,000,000"),
        ("ticks: 10", "ticks: .inf", "2:8: ticks: found .inf, expected a finite number"),
        ("epsilon: 0.1", "epsilon: .NaN", "19:12: rules.epsilon: found .NaN, expected a finite number"),
        ("epsilon: 0.1", "epsilon: 1e999", "19:12: rules.epsilon: found 1e999, expected a finite number"),
        ("epsilon: 0.1", "epsilon: 2", "19:12: rules.epsilon: found 2, expected a number from 0 to 1"),
        ("epsilon: 0.1", "epsilon: " + "9" * 31, "19:12: rules.epsilon: found a number of 31 characters, too many"),
        (
            "epsilon: 0.1",
            "epsilom: 0.1",
            "19:3: rules.epsilom: unknown key 'epsilom' (did you mean 'epsilon'?)",
        ),
        ("ticks: 10", "ticks: 10\nzzzz: 1", "3:1: zzzz: unknown key 'zzzz'"),
        ("[1, 1]", "[1]", "5:40: objects[0].position: found [1], expected a pair, each a whole number from 0 to 127"),
        (
            "[1, 1]",
            "[1, -1]",
            "5:44: objects[0].position[1]: found -1, expected a whole number from 0 to 127",
        ),
        (
            "request: wash",
            "move: [1]",
            "12:15: agents[0].schedule[0].move: found [1], "
            f"expected a pair, each a whole number from 0 to 127 or {NAME}",
        ),
        ("request: wash", "release: false", "12:18: agents[0].schedule[0].release: found false, expected true"),
        ("agents:", "agents: 3\nagentz:", "7:9: agents: found 3, expected a list of at most 64"),
        ("clerk: {", "'a b': {", f"17:3: jobs.'a b': key 'a b', expected {NAME}"),
        ("rules:", "rewards: {clip_per_tick: 0}\nrules:", "18:26: rewards.clip_per_tick: found 0, expected a number above 0, up to 1,000,000"),
        ("rules:", "expect: {x: [1, a]}\nrules:", "18:17: expect.x[1]: found 'a', expected a number"),
        ("rules:", "expect: {x: [1]}\nrules:", "18:13: expect.x: found [1], expected a pair, each a number or null"),
        ("rules:", "kinds: {k: 1}\nrules:", "18:12: kinds.k: found 1, expected a block of keys"),
        ("rules:", "outages: {}\nrules:", "18:10: outages: found a block of keys, expected a list of at most 64"),
        ("ticks: 10", "ticks: 10\nticks: 20", "3:1: ticks: key 'ticks' is here twice, first on line 2"),
        ("name: demo", "name: !!python/name:os.system x", "1:7: name: tag 'tag:yaml.org,2002:python/name:os.system' is not used here, expected a plain value"),
        ("name: demo", 'name: "\\uD800"', "1:7: name: holds half a surrogate pair, expected Unicode text"),
        ("ticks: 10", "ticks: 10\n? [a]\n: 1", "3:3: a key is a list, a block or an alias, expected text"),
        ("ticks: 10", "ticks: *x", "2:8: ticks: alias 'x' has no anchor before it"),
        ("ticks: 10", "ticks: &x [*x]", "2:12: ticks[0]: alias 'x' has no anchor before it"),
        ("rules:\n  eps", "rules:\n\teps", "19:1: syntax: found a tab, expected spaces to indent with"),
        ("rules:", "rules: a: b", "18:9: syntax: found ': ' where no key can be: put text with a colon in quotes, or mend the indentation"),
        ("name: demo", "%YAML 1.1\n---\nname: demo", "1:1: directives (lines that begin with %) are not used here"),
        ("rules:", "---\nrules:", "18:1: a second document begins, expected one document per file"),
        ("name: demo", "name: d\x07mo", "1:8: character \\x07 is not allowed in YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_line_column_path_and_expectation(tmp_path, old, new, line):
    assert GOOD.count(old) == 1
    assert line in lines_of(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["1:1: the file is empty"]),
        ("# nothing yet\n", ["2:1: the file is empty"]),
        ("- a\n", ["1:1: found [\"a\"], expected a block of keys"]),
        ("just text\n", ["1:1: found 'just text', expected a block of keys"]),
        (b"\xef\xbb\xbfa\xff", ["1:2: byte 0xff is not UTF-8 text"]),
        ('name: "\\U00110000"', ["1:8: escape \\U00110000 is beyond Unicode"]),
        (b"name: d\xff\n", ["1:8: byte 0xff is not UTF-8 text"]),
        ("name: é\n".encode() + b"x: \xc3", ["2:4: byte 0xc3 is not UTF-8 text"]),
        ("a: " + "[" * 2000, ["1:20: a[0][0]: nested more than 16 deep"]),
    ],
)  # fmt: skip
def test_a_file_that_is_no_scenario_at_all_is_refused_in_one_line(tmp_path, text, lines):
    assert lines_of(tmp_path, text) == lines


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file(tmp_path):
    text = GOOD.replace("kind: shower", "kind: showr, stok: 2").replace("epsilon: 0.1", "epsilon: x")
    text = text.replace("request: wash", "request: wish").replace("position: [5, 4]", "position: [5, 5]")
    assert lines_of(tmp_path, text) == [
        "5:22: objects[0].kind: unknown kind 'showr' (did you mean 'shower'?)",
        "5:29: objects[0].stok: unknown key 'stok' (did you mean 'stock'?)",
        "12:18: agents[0].schedule[0].request: unknown object 'wish' (did you mean 'wash'?)",
        "15:15: agents[1].position: tile [5, 5] is outside the grid, expected x from 0 to 5 and y from 0 to 4",
        "19:12: rules.epsilon: found 'x', expected a number from 0 to 1",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("objects:", "objcts:"),
        ("objects:\n", "objects:\n  - 5\n"),
        ("  clerk: {workplace: till, start_tick: 1, end_tick: 9}", "  clerk: 3"),
    ],
)
def test_a_broken_block_is_not_also_blamed_on_those_who_refer_to_it(tmp_path, old, new):
    assert len(lines_of(tmp_path, GOOD.replace(old, new))) == 1


def test_an_entry_with_a_misspelt_verb_is_not_also_told_that_it_has_none(tmp_path):
    lines = lines_of(tmp_path, GOOD.replace("request: wash", "reqest: wash"))
    assert lines == ["12:9: agents[0].schedule[0].reqest: unknown key 'reqest' (did you mean 'request'?)"]


def test_what_a_message_quotes_is_short_printable_and_on_one_line(tmp_path):
    key = "\\e[31m\\n" + "x" * 100
    (line,) = lines_of(tmp_path, GOOD.replace("rules:\n", f'rules:\n  "{key}": 1\n'))
    assert line.endswith(r"unknown key '\x1b[31m\n" + "x" * 51 + "...'")


def test_a_thousand_agents_are_refused_by_their_number_alone(tmp_path):
    agents = "".join(f"- {{id: a{i}, position: [0, 0]}}\n" for i in range(1_000))
    lines = lines_of(tmp_path, f"name: x\nticks: 1\ngrid: {{size: [9, 9]}}\nagents:\n{agents}")
    assert lines == ["5:1: agents: found a list of 1,000, expected a list of at most 64"]


def test_aliases_reuse_a_block_and_a_bomb_of_aliases_is_refused(tmp_path):
    text = GOOD.replace("[0, 0]", "[0, 0]\n    needs: &tired {energy: 0.1}")
    (tmp_path / "s.yaml").write_text(text.replace("[5, 4]", "[5, 4]\n    needs: *tired"))
    assert [agent.needs.energy for agent in load_scenario(tmp_path / "s.yaml").agents] == [0.1, 0.1]
    bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    assert "more than 10,000 values, aliases counted each time" in lines_of(tmp_path, bomb)[0]


def test_a_file_larger_than_the_limit_a_folder_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "big.yaml").write_bytes(b"#" * (MAX_SCENARIO_BYTES + 1))
    with pytest.raises(InputError, match="more than 524,288 bytes"):
        load_scenario(tmp_path / "big.yaml")
    (tmp_path / "dir.yaml").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        load_scenario(tmp_path / "dir.yaml")
    with pytest.raises(MissingError, match=r"gone\.yaml: no such file"):
        load_scenario(tmp_path / "gone.yaml")


def test_yaml_1_2_reads_yes_and_times_as_text_and_exponents_as_numbers(tmp_path):
    text = GOOD.replace("name: demo", "name: yes\ndescription: 7:30").replace("0.1", "1e-3")
    (tmp_path / "s.yaml").write_text(text)
    scenario = load_scenario(tmp_path / "s.yaml")
    assert (scenario.name, scenario.description, scenario.rules.epsilon) == ("yes", "7:30", 0.001)


def test_a_byte_order_mark_and_windows_line_ends_are_harmless(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_scenario(tmp_path / "a.yaml") == load_scenario(tmp_path / "b.yaml")


def test_the_digest_ignores_comments_layout_and_key_order_but_not_values(tmp_path):
    def digest(text):
        (tmp_path / "s.yaml").write_text(text)
        return scenario_sha256(load_scenario(tmp_path / "s.yaml"))

    first = digest(GOOD)
    assert digest("# hello\n" + GOOD.replace("name: demo\nticks: 10", "ticks: 0xa\nname:   'demo'")) == first
    assert digest(GOOD.replace("ticks: 10", "ticks: 10\nseed: 0")) == first  # the default, said aloud
    assert digest(GOOD.replace("0.1", "0.2")) != first
    assert digest(GOOD.replace("anna", "anne")) != first


# Names, and what a scenario file may hold in the wrong place.


def test_a_name_means_a_bundled_scenario_and_a_suffix_slash_or_file_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_scenario("queue_conflict") == bundled_scenarios()["queue_conflict"]
    assert str(find_scenario("queue_conflict.yaml")) == "queue_conflict.yaml"
    assert str(find_scenario("a/queue_conflict")) == "a/queue_conflict"
    (tmp_path / "rivalry_decay").write_text(GOOD)
    assert load_scenario("rivalry_decay").name == "demo"


def test_an_unknown_name_is_answered_with_the_nearest_one():
    with pytest.raises(InputError, match="'queue_conflit' \\(did you mean 'queue_conflict'\\?\\)") as caught:
        load_scenario("queue_conflit")
    assert (caught.value.exit_code, caught.value.hint) == (2, "see them all with: townlet scenario list")


SMALL = ("queue_conflict", "kitchen_breakfast", "employment_punctuality")


def random_values():
    """Values of every YAML type, nested, with the model's own keys among the names."""
    keys = st.sampled_from(["name", "ticks", "grid", "size", "agents", "id", "position", "rules", "x", "\n"])
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | keys
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    )


@settings(max_examples=150)
@given(value=st.dictionaries(st.sampled_from(list(Scenario.model_fields)), random_values()))
def test_any_document_of_the_right_keys_loads_or_raises_a_scenario_error(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("any") / "s.yaml"
    path.write_text(json.dumps(value))
    scenario, mistakes = read_scenario(path)
    assert (scenario is None) == bool(mistakes)
    assert all("\n" not in mistake.text("s.yaml") for mistake in mistakes)


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 8))
def test_a_file_with_any_bytes_changed_loads_or_raises_a_scenario_error(tmp_path_factory, seed, count):
    chance, data = random.Random(seed), bytearray(GOOD.encode())
    for _ in range(count):
        at = chance.randrange(len(data))
        data[at : at + chance.randrange(3)] = chance.choice(
            [b"\n", b" ", b"\t", b"&a ", b"*a", b"!", b"%", b"[", b"}", b"'", b"|", b"- ", b": ", b"\xc3\xa9",
             b"\xff", b"\xef\xbb\xbf", b"\\U99999999", b"? ", b"@", b"#", b"<<", b"---\n", b"...\n", b">9", b"\xe2\x80\xa8", bytes([chance.randrange(256)])]
        )  # fmt: skip
    path = tmp_path_factory.mktemp("bytes") / "s.yaml"
    path.write_bytes(data)
    scenario, mistakes = read_scenario(path)
    assert (scenario is None) == bool(mistakes)


@settings(max_examples=100)
@given(text=st.text(alphabet="abc:-?[]{}&*!|>'\"%@`#,\n\t \\~<0.", max_size=40))
def test_any_text_of_yaml_marks_loads_or_raises_a_scenario_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("text") / "s.yaml"
    path.write_text(text)
    assert read_scenario(path)[1]


@settings(max_examples=50)
@given(data=st.data())
def test_every_field_of_a_valid_scenario_survives_being_written_and_read(tmp_path_factory, data):
    scenario = load_scenario(data.draw(st.sampled_from(SMALL)))
    unit = st.floats(0, 1)
    change = {
        "seed": data.draw(st.integers(0, 2**63 - 1)),
        "description": data.draw(st.text(st.characters(exclude_categories=["Cs"]))),
        "ticks": data.draw(st.integers(1, 1_000_000)),
        "expect": {
            "reward_sum": sorted([data.draw(unit), data.draw(unit)]),
            "faint_events": [None, data.draw(st.floats(-1e9, 1e9))],
        },
    }
    changed = Scenario.model_validate(scenario.model_dump() | change)
    path = tmp_path_factory.mktemp("round") / "s.yaml"
    path.write_text(json.dumps(changed.model_dump(mode="json")))
    again = load_scenario(path)
    assert again == changed
    assert scenario_sha256(again) == scenario_sha256(changed)


@pytest.mark.parametrize("name", sorted(bundled_scenarios()))
def test_a_bundled_scenario_loads_and_is_named_after_its_file(name):
    path = bundled_scenarios()[name]
    assert load_scenario(name).name == name
    with open(path) as file:  # an independent reader sees the same top level
        assert YAML(typ="safe").load(file)["name"] == name


def test_a_text_that_aliases_repeat_without_end_is_refused(tmp_path):
    text = "x" * 40_000
    (tmp_path / "a.yaml").write_text(f"description: &a {text}\nagents: [{'*a, ' * 100}]\n")
    with pytest.raises(ScenarioError, match=r"a\.yaml:2:\d+: agents\[\d+\]: more than 1,048,576 characters"):
        load_scenario(tmp_path / "a.yaml")


def test_a_file_of_nothing_but_mistakes_is_told_in_a_bounded_message(tmp_path):
    deep = "".join(f"{' ' * depth}{'k' * 100}:\n" for depth in range(14))
    (tmp_path / "a.yaml").write_text(deep + "".join(f"{' ' * 14}b{i}: .inf\n" for i in range(900)))
    with pytest.raises(ScenarioError, match="and 400 more mistakes") as caught:
        load_scenario(tmp_path / "a.yaml")
    assert len(str(caught.value)) < 100 * 400
