"""What docs/statistics.md tells people to type works, in an empty folder, in that order."""

import re
import shlex
from pathlib import Path

from townlet_core.replay.card import FORMS, dataset_card
from townlet_core.replay.find import find_entries
from townlet_core.replay.golden import ABSOLUTE, MOST_SAMPLES, RELATIVE
from townlet_core.replay.inspect import MOST_ROWS
from townlet_core.replay.statistics import GROUPS, read_statistics
from townlet_core.replay.summaries import BINS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "statistics.md").read_text("utf-8")


def test_its_commands_and_its_program_run_and_the_loading_of_its_card_does(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^townlet (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 7
    for command in commands:
        code, _, said = townlet(*shlex.split(command))
        assert code == 0, f"{command}\n{said}"
    [program] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(program, "statistics.md", "exec"), {})
    townlet("replay", "pack", "captures/q", "--output", "packed")
    for form, folder in (("npz", "captures/q"), ("arrow", "packed")):
        monkeypatch.chdir(tmp_path / folder)
        card = dataset_card("x", {}, read_statistics(find_entries(Path())).as_dict(), [form])
        [loading] = re.findall(r"^```python\n(.*?)^```", card, re.MULTILINE | re.DOTALL)
        exec(compile(loading, f"{form} card", "exec"), {})


def test_its_numbers_and_keys_are_those_of_the_code():
    assert f"at most {BINS} bins" in PAGE
    assert f"at most {MOST_SAMPLES:,} samples" in PAGE
    assert f"most {MOST_ROWS:,} samples one by one" in PAGE
    assert (RELATIVE, ABSOLUTE) == (0.02, 1e-6)
    assert all(f"| `{group}` |" in PAGE for group in GROUPS)
    assert FORMS[:2] == ("npz", "arrow")
