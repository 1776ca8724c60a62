"""`townlet scenario` lists, draws and validates, and never lets a file talk to the terminal."""

import json
import subprocess
import sys

import pytest

ESCAPES = 'name: x\ndescription: "\\e[31m[bold]red"\nticks: 3\ngrid: {size: [4, 2]}\n'


def test_list_names_the_bundled_scenarios_with_their_sizes(townlet):
    code, out, _ = townlet("scenario", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)["scenarios"]}
    assert code == 0
    assert (
        rows["queue_conflict"]["ticks"],
        rows["queue_conflict"]["agents"],
        rows["queue_conflict"]["objects"],
    ) == (80, 3, 1)
    code, out, err = townlet("scenario", "list")
    assert (code, "next: townlet scenario show" in err) == (0, True)
    assert all(name in out for name in rows)


def test_show_draws_walls_objects_and_agents(townlet, tmp_path):
    (tmp_path / "t.yaml").write_text(
        "name: t\nticks: 3\ngrid:\n  layout: |\n    ####\n    #..#\n    ....\n"
        "objects: [{id: b1, kind: bench, position: [2, 1]}, {id: bed1, kind: bed, position: [0, 2]}]\n"
        "agents: [{id: ann, position: [2, 2]}, {id: abe, position: [3, 2]}]\n"
    )
    code, out, _ = townlet("scenario", "show", tmp_path / "t.yaml")
    assert code == 0
    assert "####\n#·B#\nE·ab\n" in out
    assert "  B  bench: b1\n  E  bed: bed1\n" in out


def test_show_lists_what_befalls_the_town(townlet, tmp_path):
    (tmp_path / "t.yaml").write_text(
        "name: t\nticks: 30\ngrid: {size: [4, 4]}\nobjects: [{id: b1, kind: fridge, position: [1, 1]}]\n"
        "agents: [{id: ann, position: [3, 3]}, {id: abe, position: [3, 2]}]\n"
        "outages: [{kind: fridge, start_tick: [2, 9], duration_ticks: 4, probability: 0.5}]\n"
        "price_spikes: [{kind: fridge, factor: 3, start_tick: 7, duration_ticks: 5}]\n"
        "meetings: [{place: [0, 0], start_tick: 8, duration_ticks: 6}]\n"
    )
    _, out, _ = townlet("scenario", "show", tmp_path / "t.yaml")
    rows = [" ".join(line.split()) for line in out.splitlines()]
    for row in (
        "outage fridge 2 to 9 4 0.5",
        "price spike fridge × 3 7 5 1",
        "meeting everybody at 0,0 8 6 1",
    ):
        assert row in rows


def test_show_escapes_what_the_file_says(townlet, tmp_path):
    (tmp_path / "t.yaml").write_text(ESCAPES)
    _, out, _ = townlet("scenario", "show", tmp_path / "t.yaml")
    assert "\\x1b[31m[bold]red" in out
    assert "\x1b" not in out


def test_show_as_json_is_the_whole_scenario_with_its_digest(townlet):
    _, out, _ = townlet("scenario", "show", "rivalry_decay", "--json")
    shown = json.loads(out)
    assert (shown["scenario"]["name"], shown["scenario"]["ticks"], len(shown["sha256"])) == (
        "rivalry_decay",
        50,
        64,
    )


def test_validate_prints_every_mistake_of_every_file_and_exits_2(townlet, tmp_path):
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text(ESCAPES.replace("ticks: 3", "ticks: x\ntocks: 1"))
    good.write_text(ESCAPES)
    code, out, err = townlet("scenario", "validate", bad, good, tmp_path / "gone.yaml")
    assert code == 2
    assert out.splitlines() == [
        f"{bad}:3:8: ticks: found 'x', expected a whole number from 1 to 1,000,000",
        f"{bad}:4:1: tocks: unknown key 'tocks' (did you mean 'ticks'?)",
        f"{good}: valid, ticks 3, agents 0, objects 0",
        f"{tmp_path / 'gone.yaml'}: no such file",
    ]
    assert "error: 2 of 3 scenario files not usable, 3 mistakes in all" in err


def test_validate_as_json_places_each_mistake(townlet, tmp_path):
    (tmp_path / "bad.yaml").write_text(ESCAPES.replace("ticks: 3", "ticks: x"))
    code, out, _ = townlet("scenario", "validate", "--json", tmp_path / "bad.yaml")
    report = json.loads(out)
    (mistake,) = report["files"][0]["mistakes"]
    assert (code, report["valid"]) == (2, False)
    assert (mistake["line"], mistake["column"], mistake["path"]) == (3, 8, "ticks")


@pytest.mark.parametrize(
    ("arguments", "code"), [(["queue_conflict"], 0), (["gone.yaml"], 3), (["queue_conflit"], 2), ([], 2)]
)
def test_the_exit_code_of_validate_says_what_was_wrong(townlet, arguments, code):
    assert townlet("scenario", "validate", *arguments)[0] == code


def test_help_imports_neither_the_model_nor_numpy():
    script = (
        "import sys; from townlet_cli.main import app; "
        "print([m for m in ('pydantic', 'ruamel.yaml', 'numpy', 'torch', 'numba') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
