"""The benchmarks run and say what they measured; how fast, no test asks."""

import json
import math
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import cartpole, costs, learning, replay, replay_data, results_page, simulation
from benchmarks.curves import Curve, draw_curves
from benchmarks.figures import Figure, in_turn, rate
from benchmarks.one_town import seconds_to_first_line
from benchmarks.peers import worker
from townlet_core.estimates import Estimate
from townlet_core.measures.table import MEASURES

ROOT = Path(__file__).resolve().parents[1]
KEYS = [
    "name",
    "value",
    "unit",
    "threads",
    "peer",
    "peer_value",
    "limit",
    "limit_value",
    "ratio_to_peer",
    "ratio_to_limit",
]


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("only", ["simulation", "ppo", "replay", "telemetry", "cli", "scaling"])
def test_every_benchmark_writes_named_positive_finite_figures_and_a_table(only, tmp_path):
    done = run(only, "--quick", "--output", tmp_path / "results.json")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "results.json").read_text())
    assert rows
    assert done.stdout.startswith(f"{only} (")
    for row in rows:
        assert list(row) == KEYS
        assert row["threads"] >= 1
        for name in ("value", "peer_value", "limit_value", "ratio_to_peer", "ratio_to_limit"):
            assert row[name] is None or (math.isfinite(row[name]) and row[name] > 0), (name, row)
        assert row["value"] is not None
        assert (row["peer"] is None) == (row["peer_value"] is None) == (row["ratio_to_peer"] is None)
        assert (row["limit"] is None) == (row["limit_value"] is None) == (row["ratio_to_limit"] is None)
    assert len({(row["name"], row["threads"]) for row in rows}) == len(rows)


def test_an_unknown_benchmark_is_refused_with_the_names_there_are(tmp_path):
    done = run("simulatoin", "--output", tmp_path / "results.json")
    assert done.returncode == 2
    assert "simulation" in done.stderr
    assert not (tmp_path / "results.json").exists()


def test_ratios_say_how_many_times_as_fast_we_are_for_rates_and_durations():
    steps = Figure("steps", 300.0, "steps/s", 1, "peer", 100.0, "limit", 600.0).row()
    assert (steps["ratio_to_peer"], steps["ratio_to_limit"]) == (3.0, 0.5)
    start = Figure("start", 300.0, "ms", 1, "peer", 600.0, "limit", 30.0).row()
    assert (start["ratio_to_peer"], start["ratio_to_limit"]) == (2.0, 0.1)
    size = Figure("size", 2.0, "kB", 1, "peer", 6.0).row()
    assert size["ratio_to_peer"] == 3.0
    alone = Figure("alone", 300.0, "ms", 1).row()
    assert (alone["ratio_to_peer"], alone["ratio_to_limit"]) == (None, None)


def test_measures_take_turns_after_a_warm_up_and_the_median_counts():
    calls = []
    ours, theirs = iter([100.0, 1.0, 9.0, 2.0]), iter([100.0, 5.0, 3.0, 4.0])

    def measure(name, values):
        calls.append(name)
        return next(values)

    medians = in_turn(3, {"ours": lambda: measure("ours", ours), "theirs": lambda: measure("theirs", theirs)})
    assert calls == ["ours", "theirs"] * 4
    assert medians == {"ours": 2.0, "theirs": 4.0}


def test_a_rate_counts_every_unit_of_the_work_that_was_timed(monkeypatch):
    clock = iter([10.0, 10.4, 10.8, 11.2])  # the start, and the end of each call
    monkeypatch.setattr("benchmarks.figures.perf_counter", lambda: next(clock))
    assert rate(lambda: None, units=6, seconds=1.0) == pytest.approx(3 * 6 / 1.2)


def test_a_worker_answers_every_request_though_a_library_prints(tmp_path):
    program = tmp_path / "halving_worker.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks' / 'workers')!r})\n"
        "from serve import serve\n"
        "def measure(number):\n"
        "    print('hello from a library')\n"
        "    return number / 2\n"
        "serve(measure)\n"
    )
    with worker([sys.executable, str(program)]) as ask:
        assert [ask(number=number) for number in (8, 3)] == [4.0, 1.5]


def test_a_worker_that_dies_is_an_error_and_not_a_figure(tmp_path):
    with (
        worker([sys.executable, "-c", "pass"]) as ask,
        pytest.raises(RuntimeError, match="ended without an answer"),
    ):
        ask(number=1)


def test_the_learner_balances_a_pole_that_nobody_here_invented():
    network = cartpole.train(seed=0, steps=20 * 2048)
    assert cartpole.evaluate(network, seed=0, episodes=20).mean() > 150  # chance reaches about 22


def test_a_peer_that_does_not_run_is_named_and_the_others_are_measured(monkeypatch, capsys):
    def fail(**request):
        raise RuntimeError("out of order")

    monkeypatch.setattr(simulation, "PEERS", {"Bad": ("a", "x"), "Good": ("b", "y"), "Missing": ("c", "z")})
    working = simulation._peers_that_work({"a": fail, "b": lambda **request: 7.0, "c": None})
    assert {name: ask(towns=1, seconds=1) for name, ask in working.items()} == {"Good": 7.0}
    assert "Bad does not run, so its figures are missing: out of order" in capsys.readouterr().err


def test_a_dead_worker_may_be_asked_again_and_closed():
    with worker([sys.executable, "-c", "pass"]) as ask:
        for _ in range(3):
            with pytest.raises(RuntimeError, match="ended without an answer"):
                ask(number=1)


def test_a_process_without_a_first_line_is_an_error_and_not_a_figure():
    assert seconds_to_first_line("print(1)") > 0
    with pytest.raises(RuntimeError, match="ended before its first line"):
        seconds_to_first_line("pass")


def test_the_memory_of_a_town_is_that_of_its_state_and_the_same_each_time():
    (row,) = {simulation.one_town._memory() for _ in range(2)}
    assert row.unit == "kB"
    assert 1 < row.value < 10  # docs/benchmarks.md counts 1000 bytes; a town of 8 is to stay below 10


def run_that_ended(rewards, returned, conflicts):
    result = dict.fromkeys(MEASURES, Estimate(0.0, 0.0, 0.0))
    result |= {"return": Estimate(returned, returned, returned), "conflicts": Estimate(conflicts, 0.0, 9.0)}
    return results_page.Run(rewards, 100, result, 3.0)


def test_the_page_says_how_a_mode_compares_with_the_script_and_how_soon_it_was_nearly_as_good():
    fixed = {
        word: run_that_ended([], value, 4.0).result for word, value in (("scripted", 1.0), ("random", 0.0))
    }
    levels = {"scripted": 0.1, "random": 0.0}
    runs = [run_that_ended([0.0, 0.095, 0.2], 1.5, 1.0), run_that_ended([0.0, 0.08, 0.095], 1.7, 1.0)]
    said = results_page.verdict("mixed", runs, fixed, levels)
    # Over two seeds: 1.6 ± 12.7 · .1
    assert "no significant difference in return from the scripted baseline, 25% of its conflicts" in said
    assert "2 of 2 seeds, after 150 environment steps (median; 100 to 200)" in said
    said = results_page.verdict("mixed", 3 * runs, fixed, levels)  # 1.6 ± 2.57 · .11 / √6
    assert "return above the scripted baseline" in said
    said = results_page.verdict("rollout", 2 * [run_that_ended([0.0, 0.01], 0.5, 6.0)], fixed, levels)
    assert "return below the scripted baseline, 150% of its conflicts" in said
    assert "0 of 2 seeds." in said


def test_kept_runs_are_those_of_equal_settings_and_episodes(tmp_path):
    kept = learning.Kept(tmp_path / "results.json", episodes=10, wanted=True)
    run = run_that_ended([0.0, 0.5], 1.0, 2.0)
    kept.add("queue_conflict", "mixed", 0, run)
    again = learning.Kept(tmp_path / "results.json", episodes=10, wanted=True)
    assert again.find("queue_conflict", "mixed", 0) == run
    assert again.find("queue_conflict", "rollout", 0) is None
    assert learning.Kept(tmp_path / "results.json", episodes=20, wanted=True).rows == []
    assert learning.Kept(tmp_path / "results.json", episodes=10, wanted=False).rows == []


def test_curves_are_a_picture_with_every_name_in_it():
    x = np.arange(5) * 1000.0
    curves = {
        name: Curve(x, x * slope, x * slope - 1, x * slope + 1) for name, slope in (("a < b", 1), ("c", 2))
    }
    picture = draw_curves(curves, {"scripted": 500.0}, "ticks", "reward")
    words = [
        element.text for element in ElementTree.fromstring(picture).iter() if element.tag.endswith("text")
    ]
    assert {"a < b", "c", "scripted", "ticks", "reward"} <= set(words)


def numbers(row):
    """Return the numbers of a table's row."""
    return [float(cell.replace(",", "")) for cell in row.strip("| \n").split(" | ")[1:]]


def test_the_costs_of_a_capture_are_those_of_the_page():
    page = (ROOT / "docs" / "data.md").read_text()
    rows = [row for text in costs.size_tables(["kitchen_breakfast"]) for row in text.splitlines()[2:]]
    documented = [row for row in page.splitlines() if row.startswith("| kitchen_breakfast |")]
    assert len(rows) == len(documented) == 2
    for found, expected in zip(rows, documented, strict=True):
        assert numbers(found) == pytest.approx(numbers(expected), rel=0.05)  # zlib and pyarrow may change


def test_the_data_of_a_benchmark_is_made_once_and_anew_when_other_data_is_wanted(tmp_path, monkeypatch):
    made = []
    capture = replay_data.write_capture
    monkeypatch.setattr(replay_data, "write_capture", lambda *given: made.append(given[2]) or capture(*given))
    for towns in (1, 1, 2):
        data = replay_data.make_data(tmp_path, towns, ticks=4)
    assert [settings.num_towns for settings in made] == [1, 2]
    assert data.transitions == 2 * 4 * 8
    assert len(data.files("npz")) == 16
    assert [path.parent.name for path in data.files("lz4")] == ["lz4"]


@pytest.mark.parametrize("name", replay.PEERS)
def test_a_peer_copies_recordings_and_delivers_them_all(name, tmp_path):
    data = replay_data.make_data(tmp_path / "data", towns=2, ticks=6)
    folder, files = str(tmp_path / "copy"), [str(file) for file in data.files("npz")]
    with replay.start(name) as ask:
        assert ask(what="make", folder=folder, files=files) == 16
        assert ask(what="open", folder=folder) > 0
        assert ask(what="epoch", folder=folder, transitions=96) > 0
        assert 10 < ask(what="memory") < 2000
        with pytest.raises(RuntimeError, match="ended without an answer"):
            ask(what="epoch", folder=folder, transitions=97)
