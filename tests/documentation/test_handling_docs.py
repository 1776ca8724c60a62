"""The sessions of docs/handling.md run in order, and print what the page shows."""

import re
import shlex
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "handling.md"
BLOCK = re.compile(r"^```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def sessions(text):
    """Return each command, and the lines that it is shown to print."""
    shown = "".join(BLOCK.findall(text))
    parts = re.split(r"^\$ (townlet .*)\n", shown, flags=re.MULTILINE)[1:]
    return [(command, lines.splitlines()) for command, lines in zip(parts[::2], parts[1::2], strict=True)]


def comparable(line):
    """Return a line without what differs from run to run and with libraries: ages and compressed bytes."""
    line = re.sub(r"\d+ (?:s|min)$", "AGE", line.rstrip())
    return re.sub(r" +", " ", re.sub(r"[\d,]+ bytes are now [\d,]+", "BYTES", line))


def printed(out, err):
    """Return what a command prints besides notes."""
    told = [line for line in err.splitlines() if line.startswith(("error:", "hint:", "warning:"))]
    return [*out.splitlines(), *told]


def test_every_session_prints_what_the_page_shows(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8")
    for command in re.findall(r"^townlet capture .*$", text, re.MULTILINE):
        assert townlet(*shlex.split(command)[1:])[0] == 0
    commands = sessions(text)
    assert len(commands) > 12
    for command, shown in commands:
        _, out, err = townlet(*shlex.split(command)[1:])
        assert list(map(comparable, printed(out, err))) == list(map(comparable, shown)), command
