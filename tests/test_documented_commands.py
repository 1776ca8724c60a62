"""What the tutorial tells people to type works, in an empty folder, in that order."""

import re
import shlex
from pathlib import Path

import pytest

from townlet_core.capture import settings

ROOT = Path(__file__).resolve().parents[1]


def commands_of(page: str) -> list[str]:
    """List the lines of a page that are commands."""
    lines = (ROOT / page).read_text("utf-8").splitlines()
    return [line for line in lines if line.startswith("townlet ")]


def test_every_command_of_the_tutorial_runs_in_order(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = commands_of("docs/tutorial.md")
    assert len(commands) >= 17
    for command in commands:
        code, _, said = townlet(*shlex.split(command)[1:])
        assert code == 0, f"{command}\n{said}"


def test_every_command_of_the_page_about_many_towns_runs_in_order(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "BLOCK_TRANSITIONS", 2 * 3 * 80)  # two towns of queue_conflict
    commands = commands_of("docs/capture.md")
    assert len(commands) == 4
    for command in commands:
        code, _, said = townlet(*shlex.split(command.replace("--towns 10000", "--towns 6"))[1:])
        assert code == 0, f"{command}\n{said}"
    many, joined = (
        {path.name: path.read_bytes() for path in Path("captures", name).iterdir() if path.name != ".lock"}
        for name in ("many", "joined")
    )
    assert many == joined


def test_every_command_of_the_page_about_watching_runs_in_order(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("av")
    commands = commands_of("docs/watching.md")
    assert len(commands) == 9
    for command in commands:
        few = ("--every", "20") if re.search("gif|mp4|apng", command) else ()
        code, _, said = townlet(*shlex.split(command)[1:], *few)
        assert code == 0, f"{command}\n{said}"
    assert Path("captures/queue_conflict/rollout_sample_beside_random.html").is_file()


def test_the_town_of_the_tutorial_is_drawn_and_its_mistakes_are_reported_as_shown(
    townlet, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    drawing, report = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    wrong = re.search(r"^  - \{id: bench.*\n", page, re.MULTILINE)[0]
    townlet("scenario", "new", "my_town")
    assert drawing in townlet("scenario", "show", "my_town.yaml")[1]
    file = tmp_path / "my_town.yaml"
    before, till, after = re.split(r"(  - \{id: till.*\n)", file.read_text())
    file.write_text(before + till + wrong + after)
    command, _, mistakes = report.partition("\n")
    code, out, _ = townlet(*shlex.split(command)[2:])
    assert (code, out) == (2, mistakes)
    file.write_text(before + till + wrong.replace("bensh", "bench").replace("[5, 4]", "[6, 4]") + after)
    assert townlet("capture", "my_town.yaml", "--check")[0] == 0


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_every_link_between_pages_leads_somewhere(page):
    text = (ROOT / "docs" / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / "docs" / target).exists(), f"{page}: {target}"
