"""`townlet scenario new` and `schema` write what validates, plays, and helps an editor."""

import json

import pytest

from townlet_core.errors import InputError, ScenarioError
from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.scenario.json_schema import SCHEMA_FILE, scenario_schema
from townlet_core.scenario.load import load_scenario, scenario_sha256
from townlet_core.scenario.template import new_scenario


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_scenario_validates_and_is_shown(townlet, here):
    code, out, err = townlet("scenario", "new", "my_town")
    assert (code, out) == (0, "wrote my_town.yaml\n")
    assert [line for line in err.splitlines() if line.startswith("next: ")] == [
        "next: townlet scenario show my_town.yaml",
        "next: townlet scenario validate my_town.yaml",
        "next: townlet capture my_town.yaml --check",
    ]
    for command in ("show", "validate"):
        assert townlet("scenario", command, "my_town.yaml")[0] == 0
    assert load_scenario("my_town.yaml").name == "my_town"


def test_a_new_scenario_keeps_its_promises_and_names_itself_to_the_next_command(townlet, here):
    townlet("scenario", "new", "my_town")
    code, _, err = townlet("capture", "my_town.yaml", "--check")
    assert code == 0
    assert "my_town: 4 expectations met" in err
    assert "next: townlet train my_town.yaml --mode mixed" in err


def test_a_new_scenario_shows_one_of_each(here):
    (here / "x.yaml").write_text(new_scenario("x"))
    town = load_scenario("x.yaml")
    assert 2 <= len(town.agents) <= 3
    assert any(agent.schedule for agent in town.agents)
    assert any(not agent.schedule for agent in town.agents)
    assert town.walls
    assert town.objects
    assert town.kinds
    assert town.jobs
    assert town.expect


def test_the_first_line_leads_an_editor_to_the_schema_beside_the_file(townlet, here):
    townlet("scenario", "new", "x", "--output", "towns")
    first = (here / "towns" / "x.yaml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={SCHEMA_FILE}"
    assert json.loads((here / "towns" / SCHEMA_FILE).read_text()) == scenario_schema()


def test_schema_prints_json_or_writes_it_once(townlet, here):
    code, out, _ = townlet("scenario", "schema")
    assert (code, json.loads(out)) == (0, scenario_schema())
    assert townlet("scenario", "schema", "--output", "s.json")[0] == 0
    assert (here / "s.json").read_text() == out
    assert townlet("scenario", "schema", "--output", "s.json")[0] == 2
    assert townlet("scenario", "schema", "--output", "s.json", "--force")[0] == 0


def test_what_is_there_is_kept_without_force(townlet, here):
    (here / "x.yaml").write_text("mine")
    (here / SCHEMA_FILE).write_text("older")
    assert townlet("scenario", "new", "x") == (
        2,
        "",
        "error: x.yaml: already exists\nhint: choose another --output, or replace it with --force\n",
    )
    code, _, err = townlet("scenario", "new", "y")
    assert code == 0
    assert f"warning: {SCHEMA_FILE}: is of another version; renew it with: townlet scenario schema" in err
    assert (here / SCHEMA_FILE).read_text() == "older"
    assert townlet("scenario", "new", "x", "--force")[0] == 0
    assert load_scenario("x.yaml").name == "x"
    assert json.loads((here / SCHEMA_FILE).read_text()) == scenario_schema()


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["x"], "x.yaml"),
        (["x.yaml"], "x.yaml"),
        (["x", "--output", "towns"], "towns/x.yaml"),
        (["x", "--output", "a/b/y.yml"], "a/b/y.yml"),
    ],
)
def test_the_file_is_named_after_the_scenario_unless_output_says_otherwise(townlet, here, arguments, file):
    assert townlet("scenario", "new", *arguments)[:2] == (0, f"wrote {file}\n")
    assert load_scenario(here / file).name == "x"


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "é", "x" * 65, "a\n"])
def test_what_is_no_name_is_refused_and_nothing_is_written(townlet, here, name):
    code, _, err = townlet("scenario", "new", name)
    assert code == 2
    assert "cannot be a name, expected a name (1 to 64 letters" in err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["7", "null", "true", "1e3", "0x1F", "-", "---", "7.5", ".inf", "on"])
def test_a_name_that_yaml_could_mistake_is_quoted(here, name):
    (here / "x.yaml").write_text(new_scenario(name))
    assert load_scenario("x.yaml").name == name


@pytest.mark.parametrize("source", sorted(bundled_scenarios()))
def test_a_copy_differs_from_a_bundled_scenario_in_its_name_alone(here, source):
    text = new_scenario("copy", bundled_scenarios()[source])
    (here / "copy.yaml").write_text(text)
    original = load_scenario(source)
    assert load_scenario("copy.yaml") == original.model_copy(update={"name": "copy"})
    again = new_scenario("again", here / "copy.yaml")
    assert again.count("yaml-language-server") == 1
    (here / "again.yaml").write_text(again.replace("name: again", f"name: {source}"))
    assert scenario_sha256(load_scenario("again.yaml")) == scenario_sha256(original)


@pytest.mark.parametrize("name", ["old", "'old'", '"old"', "old  # name: old", "&n old"])
def test_a_name_is_replaced_where_it_stands_or_refused(here, name):
    rest = "ticks: 3\ngrid: {size: [4, 2]}\ndescription: old\n"
    (here / "x.yaml").write_text(f"{rest}name: {name}\n")
    if name.startswith("&"):
        with pytest.raises(InputError, match=r"x\.yaml: its name cannot be replaced where it stands"):
            new_scenario("new", here / "x.yaml")
        return
    assert f"\n{rest}name: new" in new_scenario("new", here / "x.yaml")


def test_a_copy_of_a_file_with_mistakes_is_refused_with_them(here):
    (here / "x.yaml").write_text("name: x\n")
    with pytest.raises(ScenarioError, match=r"x\.yaml:1:1: ticks: missing"):
        new_scenario("y", here / "x.yaml")
