"""`townlet report`: a page, pictures, stdout, and what it refuses."""

from html import unescape

import pytest
from PIL import Image

from townlet_core.telemetry.bundled import bundled_rules


@pytest.fixture
def report(townlet, tmp_path, monkeypatch):
    """Run the command in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: townlet("report", "--baseline-episodes", 0, *arguments)


def test_a_page_is_written_and_said(report, runs, tmp_path):
    code, stdout, stderr = report(runs / "s0", "--no-player")
    page = (tmp_path / "report.html").read_bytes()
    assert page.startswith(b"<!doctype html>")
    assert (code, stdout) == (0, f"report.html: queue_conflict: s0, 21 charts, {len(page):,} bytes\n")
    assert "next: open report.html in a browser" in stderr
    assert b"<iframe" not in page


def test_an_existing_page_is_kept_unless_forced(report, runs, tmp_path):
    (tmp_path / "report.html").write_text("mine")
    code, _, stderr = report(runs / "s0", "--no-player")
    assert (code, "--force" in stderr) == (2, True)
    assert (tmp_path / "report.html").read_text() == "mine"
    assert report(runs / "s0", "--no-player", "--force")[0] == 0
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_pictures_are_written_for_slides(report, runs, tmp_path):
    code, stdout, _ = report(runs / "s0" / "telemetry.jsonl", "-o", "all.png", "--png", "slides")
    assert code == 0
    assert Image.open(tmp_path / "all.png").format == "PNG"
    names = {path.name for path in (tmp_path / "slides").iterdir()}
    assert {"episode_return_mean.png", "grad_norm.png", "reward_terms.png"} <= names
    assert stdout.endswith(f"slides: {len(names)} pictures\n")
    assert report(runs / "s0" / "telemetry.jsonl", "-o", "two.png", "--png", "slides")[0] == 2


def test_a_log_without_a_number_to_draw_has_a_page_and_no_picture(report, tmp_path):
    (tmp_path / "log").write_text('{"epoch": 1}\n')
    assert report("log")[0] == 0
    code, _, stderr = report("log", "-o", "x.png")
    assert (code, "nothing to draw" in stderr) == (2, True)


def test_a_rule_that_trips_is_on_the_page(report, runs, tmp_path):
    (tmp_path / "rules.yaml").write_text("- lr > 0\n")
    arguments = ("--alert", "loss_entropy < 0", "--rules", "rules.yaml", "--no-player")
    assert report(runs / "s0", *arguments)[0] == 0
    page = (tmp_path / "report.html").read_text()
    assert "<td>lr &gt; 0</td><td>s0</td><td>6 records</td>" in page
    assert "<td>loss_entropy" not in page


def test_without_rules_those_of_the_scenario_are_tried(report, runs, tmp_path):
    assert report(runs / "s0", "--no-player")[0] == 0
    bundled = [rule.text for rule in bundled_rules("queue_conflict")]
    page = unescape((tmp_path / "report.html").read_text())
    assert bundled
    assert all(f"<li>{rule}</li>" in page for rule in bundled)
    for arguments in (("--rules", "none"), ("--alert", "lr > 9")):
        assert report(runs / "s0", "--no-player", "--force", *arguments)[0] == 0
        assert f"<li>{bundled[0]}</li>" not in unescape((tmp_path / "report.html").read_text())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("missing",), 3, "missing: no such log"),
        ((".",), 2, "is a folder without a run"),
        (("RUN", "RUN"), 2, "named twice"),
        (("RUN", "--alert", "loss > 1"), 2, "unknown field 'loss'"),
        (("RUN", "-o", "x.png", "--capture", "."), 2, "there is no player here"),
        (("RUN", "--capture", "missing"), 3, "missing"),
        (("RUN", "--baseline-episodes", "1"), 2, "expected at least 2"),
    ],
)
def test_what_cannot_be_reported_is_refused_and_nothing_is_written(
    report, runs, tmp_path, arguments, code, message
):
    found, _, stderr = report(*(runs / "s0" if word == "RUN" else word for word in arguments))
    assert (found, message in stderr) == (code, True), stderr
    assert list(tmp_path.iterdir()) == []


def test_the_summary_leads_to_the_report_of_its_run(townlet, runs):
    for log in (runs / "s0", runs / "s0" / "telemetry.jsonl"):
        assert f"next: townlet report {runs / 's0'} -o report.html" in townlet("telemetry", "summary", log)[2]
