"""Fifty ways to get a scenario wrong: what is said, and whether it points at the right line and column."""

# ruff: noqa: E501  (a message is easier to compare with its cause on one line)

import pytest

from townlet_core.scenario.load import parse_scenario
from townlet_core.scenario.template import TEMPLATE

GOOD = TEMPLATE.read_text()
NAME = "a name (1 to 64 letters, digits, '_', '.' or '-')"
PAIR = "a pair, each a whole number from 0 to 127"


def mistakes_of(*changes):
    """Return the mistakes of the file that `townlet scenario new` writes, with some of its text changed."""
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return [mistake.text("s").removeprefix("s:") for mistake in parse_scenario(text.encode())[1]]


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        # Keys, at every level. A misspelt key is not also reported as missing.
        ("agents:", "agent:", "40:1", "agent: unknown key 'agent' (did you mean 'agents'?)"),
        ("ticks: 120", "tiks: 120", "12:1", "tiks: unknown key 'tiks' (did you mean 'ticks'?)"),
        ("patience_ticks", "patiens_ticks", "71:12", "rules.queues.patiens_ticks: unknown key 'patiens_ticks' (did you mean 'patience_ticks'?)"),
        ("affordance:", "afordance:", "28:5", "kinds.sofa.afordance: unknown key 'afordance' (did you mean 'affordance'?)"),
        ("{energy: 0.3}", "{energie: 0.3}", "30:15", "kinds.sofa.effects.energie: unknown key 'energie' (did you mean 'energy'?)"),
        ("request: fridge", "reqest: fridge", "52:9", "agents[1].schedule[2].reqest: unknown key 'reqest' (did you mean 'request'?)"),
        ("wage_rate", "wages", "65:60", "jobs.cashier.wages: unknown key 'wages' (did you mean 'wage_rate'?)"),
        ("conflict_penalty", "conflict", "74:3", "rewards.conflict: unknown key 'conflict' (did you mean 'conflict_penalty'?)"),
        ("faint_events", "fant_events", "81:3", "expect.fant_events: unknown metric 'fant_events' (did you mean 'faint_events'?)"),
        ("bo.hunger_last", "bob.hunger_last", "82:3", "expect.bob.hunger_last: unknown agent 'bob' (did you mean 'bo'?)"),
        # Names of things.
        ("kind: checkout", "kind: chekout", "37:22", "objects[3].kind: unknown kind 'chekout' (did you mean 'checkout'?)"),
        ("kind: checkout", "kind: Checkout", "37:22", "objects[3].kind: unknown kind 'Checkout' (did you mean 'checkout'?)"),
        ("request: shower", "request: showr", "50:18", "agents[1].schedule[0].request: unknown object 'showr' (did you mean 'shower'?)"),
        ("workplace: till", "workplace: tll", "65:24", "jobs.cashier.workplace: unknown object 'tll' (did you mean 'till'?)"),
        ("job: cashier", "job: casher", "44:10", "agents[0].job: unknown job 'casher' (did you mean 'cashier'?)"),
        ("chat: cleo", "chat: bo", "55:15", "agents[1].schedule[5].chat: 'bo' would chat with itself, expected another agent"),
        # Values.
        ("name: new_town", "name: [a]", "9:7", f'name: found ["a"], expected {NAME}'),
        ("[2, 1]", '"2, 1"', "34:42", f"objects[0].position: found '2, 1', expected {PAIR}"),
        ("hunger: 0.8", "hunger: 8", "43:21", "agents[0].needs.hunger: found 8, expected a number from 0 to 1"),
        ("id: bo ", "id: bö ", "45:9", f"agents[1].id: found 'bö', expected {NAME}"),
        ("ticks: 120", "ticks: yes", "12:8", "ticks: found 'yes', expected a whole number from 1 to 1,000,000"),
        ("ticks: 120", 'ticks: "120"', "12:8", "ticks: found '120', expected a whole number from 1 to 1,000,000"),
        ("epsilon: 0.005", "epsilon: 5%", "69:12", "rules.epsilon: found '5%', expected a number from 0 to 1"),
        ("epsilon: 0.005", "epsilon: 0,005", "69:12", "rules.epsilon: found '0,005', expected a number from 0 to 1"),
        ("wait: 15", "wait: -15", "57:15", "agents[1].schedule[6].wait: found -15, expected a whole number from 1 to 1,000,000"),
        ("- start: shower", "- start shower", "51:9", "agents[1].schedule[1]: found 'start shower', expected a block of keys"),
        ("  cashier: {work", "  - {work", "65:3", "jobs: found a list of 1, expected a block with a name for each key"),
        ("  - id: cleo", "  -\n  - id: cleo", "58:4", "agents[2]: found nothing, expected a block of keys"),
        ("id: ada ", "id: # ada", "41:5", f"agents[0].id: found nothing, expected {NAME}"),
        ("id: till, ", "", "37:5", f"objects[3].id: missing, expected {NAME}"),
        # Places.
        ("[6, 2]", "[5, 1]", "42:15", "agents[0].position: tile [5, 1] is a wall, expected floor"),
        ("[6, 2]", "[1, 2]", "46:15", "agents[1].position: tile [1, 2] is already taken by agent 'ada'"),
        ("[6, 2]", "[60, 2]", "42:15", "agents[0].position: tile [60, 2] is outside the grid, expected x from 0 to 11 and y from 0 to 5"),
        # The drawing.
        ("#....#.....#", "#....#....#", "19:5", "grid.layout[1]: row 2 has 11 tiles, row 1 has 12; expected all rows to be equally long"),
        ("layout: |", "layout:", "17:3", "grid.layout: found nothing, expected a drawing: its rows, indented below 'layout: |'"),
        ("layout: |\n    ####", "layout: |\n####", "17:11", "grid.layout: found an empty drawing, expected rows of tiles, indented below 'layout: |'"),
        # YAML itself.
        ("    position: [6, 2]", "   position: [6, 2]", "42:4", "syntax: this does not line up with the list that begins on line 41, column 3"),
        ("    job: cashier", "\tjob: cashier", "44:1", "syntax: found a tab, expected spaces to indent with"),
        ("    #..........#", "\t#..........#", "20:1", "syntax: found a tab, expected spaces to indent with"),
        ("ticks: 120", "ticks 120", "12:1", "syntax: expected ': ' after a key"),
        ("ticks: 120", "ticks:120", "12:1", "syntax: expected ': ' after a key"),
        ("name: new_town", 'name: "new_town', "9:7", "syntax: a text in quotes begins here and does not end"),
        ("[2, 1]}", "[2, 1}", "34:47", "syntax: found '}', expected ',' or ']' after what began with '[' on line 34, column 42"),
        ("description: Three", "description: Note: Three", "10:18", "syntax: found ': ' where no key can be: put text with a colon in quotes, or mend the indentation"),
        ("ticks: 120", "ticks: @120", "12:8", "syntax: found character '@' that cannot start any token: put the text in quotes"),
        ("  epsilon", "epsilon", "70:3", "syntax: this does not line up with the block of keys that begins on line 9, column 1"),
        ("job: cashier", "job: *cashier", "44:10", "agents[0].job: alias 'cashier' has no anchor before it"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_sentence_at_its_place(old, new, at, said):
    assert mistakes_of((old, new)) == [f"{at}: {said}"]


def test_a_second_key_is_placed_where_it_stands_and_names_the_first():
    assert mistakes_of(("job: cashier", "job: cashier\n    job: clerk")) == [
        "45:5: agents[0].job: key 'job' is here twice, first on line 44"
    ]


def test_mistakes_of_all_sorts_are_reported_together():
    lines = mistakes_of(
        ("ticks: 120", "tiks: 0"),
        ("    #....#.....#", "    #....#....#"),
        ("kind: checkout", "kind: chekout"),
        ("{id: sofa, kind: sofa, position: [1, 4]}", "{id: sofa, position: [1, 4]}"),
        ("job: cashier", "job: clerk"),
        ("wallet: 2.0", "walet: -2.0"),
        ("request: fridge", "request: frige"),
        ("wait: 15", "wait: soon"),
        ("workplace: till", "workplace: sofa"),
        ("epsilon: 0.005", "epsilon: -1"),
        ("hunger_last", "hungr_last"),
    )
    assert [line.split(": ")[1] for line in lines] == [
        "tiks",
        "ticks",
        "grid.layout[1]",
        "objects[1].kind",
        "objects[3].kind",
        "agents[0].job",
        "agents[1].walet",
        "agents[1].wallet",
        "agents[1].schedule[6].wait",
        "rules.epsilon",
        "expect.bo.hungr_last",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: till", "id: 7"),
        ("{id: till, kind: checkout, position: [10, 4]}", "till"),
        ("id: bo ", "id: [] "),
        ("  sofa:\n    affordance: nap", "  sofa:\n    affordance: []"),
        ("  cashier: {workplace: till, start_tick: 30, end_tick: 90, wage_rate: 0.02}", "  cashier: 3"),
        ("rules:\n", "rules:\n  ticks_per_day: '2000'\n  day_start_tick: 1600\n"),
    ],
)
def test_who_refers_to_what_is_broken_is_not_blamed(old, new):
    assert len(mistakes_of((old, new))) == 1
