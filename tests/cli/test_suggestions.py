"""What commands suggest can be pasted as it is printed, also where names have spaces."""

import re
import shlex
from pathlib import Path

import pytest

MARKET = Path(__file__).resolve().parents[2] / "examples" / "market_day.yaml"
EMPTY = "name: empty\nticks: 9\ngrid: {size: [4, 4]}\n"
SMALL = {"CYCLES": 1, "NUM_TOWNS": 1, "ROLLOUT_TICKS": 4, "NUM_EPOCHS": 1, "HIDDEN_SIZE": 8}


@pytest.fixture
def suggested(townlet, tmp_path, monkeypatch):
    """Run a command in a folder with a space in its name; returns the commands it suggests, as printed."""
    folder = tmp_path / "a b"
    folder.mkdir()
    (folder / "empty town.yaml").write_text(EMPTY)
    monkeypatch.chdir(folder)
    for name, value in SMALL.items():
        monkeypatch.setenv(f"TOWNLET_{name}", str(value))

    def run(*words):
        code, _, said = townlet(*words)
        assert code == 0, f"{words}: {said}"
        return re.findall(r"^next: (townlet .*)$", said, flags=re.M)

    return run


COMMANDS = [
    ("scenario", "new", "my_town", "--from", "kitchen_breakfast", "--output", "my town.yaml"),
    ("scenario", "list"),
    ("capture", "my town.yaml", "--output", "out put/cap"),
    ("capture", "empty town.yaml", "--ticks", "9", "--auto-seed-agents", "--output", "out put/empty"),
    ("replay", "inspect", "out put/cap", "--follow-links"),
    ("replay", "render", "out put/cap", "--format", "ansi", "--scenario", "my town.yaml", "--town", "0"),
    ("train", "my town.yaml", "--mode", "rollout", "--output", "out put/run"),
    ("telemetry", "watch", "out put/run/telemetry.jsonl"),
    ("telemetry", "summary", "out put/run/telemetry.jsonl"),
    ("telemetry", "validate", "out put/run/telemetry.jsonl"),
    ("evaluate", "out put/run", "--episodes", "2"),
    ("evaluate", "out put/run", "--episodes", "2"),  # its suggestion was followed already
]


def test_every_suggested_command_runs_as_printed(suggested):
    followed = 0
    for words in COMMANDS:
        for line in suggested(*words):
            pasted = shlex.split(line.partition(" > ")[0])[1:]
            suggested(*pasted, *(("--episodes", "2") if pasted[0] == "evaluate" else ()))
            followed += 1
    assert followed >= len(COMMANDS)


def test_a_hint_quotes_the_log_it_names(townlet, tmp_path):
    log = tmp_path / "my log.jsonl"
    log.write_text("{}x\n")
    for words in (("summary", log), ("summary", log, "--baseline", log)):
        _, _, said = townlet("telemetry", *words)
        (hint,) = re.findall(r"^hint: (townlet .*)$", said, flags=re.M)
        assert shlex.split(hint) == ["townlet", "telemetry", "validate", str(log)]


def test_a_checkpoint_that_does_not_fit_is_answered_with_the_file_of_the_scenario(suggested, townlet):
    suggested("scenario", "new", "prices", "--from", str(MARKET), "--output", "my prices.yaml")
    suggested("train", "kitchen_breakfast", "--mode", "rollout", "--output", "run")
    code, _, said = townlet("evaluate", "run", "--scenario", "my prices.yaml")
    assert (code, said.splitlines()[-1]) == (2, "hint: train one with: townlet train 'my prices.yaml'")
