"""What docs/telemetry.md shows is what the commands print."""

import re
import shlex
import subprocess
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "telemetry.md").read_text()
EXAMPLES = re.findall(r"^\$ (.*)\n((?:(?!```|\$ ).*\n)*)", PAGE, re.MULTILINE)


def test_every_example_of_the_page_prints_what_it_shows(tmp_path, monkeypatch, townlet):
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {})
    assert len(EXAMPLES) == 7
    for command, shown in EXAMPLES:
        if command.startswith("townlet "):
            command, _, head = command.partition(" | head -")
            _, printed, _ = townlet(*shlex.split(command)[1:])
            assert "".join(printed.splitlines(keepends=True)[: int(head) if head else None]) == shown, command
        else:
            subprocess.run(command, shell=True, check=True)


def test_every_option_of_the_commands_is_on_the_page(townlet):
    for command in ("watch", "summary", "validate", "export"):
        _, printed, _ = townlet("telemetry", command, "--help-all")
        for option in set(re.findall(r"--[a-z-]+", printed)) - {"--help"}:
            assert f"`{option}" in PAGE or f" {option}" in PAGE, option
