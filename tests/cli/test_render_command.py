"""`townlet replay render`: what it writes, what it prints, and what it refuses."""

import io
import sys
from pathlib import Path

import pytest
from cli.command_line import call
from PIL import Image

OLDER = Path(__file__).resolve().parents[1] / "data" / "reference" / "captures"


@pytest.fixture
def recorded(townlet, tmp_path):
    """A capture of queue_conflict: the folder."""
    assert townlet("-q", "capture", "queue_conflict", "--output", tmp_path / "q")[0] == 0
    return tmp_path / "q"


def test_a_page_is_written_beside_the_recording_and_named_on_stdout(townlet, recorded):
    code, out, err = townlet("replay", "render", recorded)
    page = recorded / "rollout_sample.html"
    assert code == 0
    assert out.startswith(f"{page}: queue_conflict, ticks 0 to 80, 3 agents, ")
    assert err == f"next: open {page} in a browser\n"
    assert page.read_bytes().startswith(b"<!doctype html>")


def test_a_page_can_go_to_stdout(townlet, recorded):
    assert townlet("replay", "render", recorded, "--output", recorded / "town.html")[0] == 0
    code, page, said = call(["replay", "render", recorded, "--output", "-"])
    assert (code, page) == (0, (recorded / "town.html").read_text("utf-8"))
    assert "next:" not in said


def test_what_is_there_is_not_replaced_without_force(townlet, recorded):
    assert townlet("replay", "render", recorded)[0] == 0
    code, _, err = townlet("replay", "render", recorded)
    assert (code, "already exists" in err, "--force" in err) == (2, True, True)
    assert townlet("replay", "render", recorded, "--force")[0] == 0


def test_a_rendered_folder_still_validates(townlet, recorded):
    for form in ("html", "png", "apng"):
        assert townlet("replay", "render", recorded, "--format", form)[0] == 0
    assert townlet("replay", "validate", recorded)[0] == 0


def test_a_picture_says_which_moments_it_shows(townlet, recorded, tmp_path):
    code, out, _ = townlet("replay", "render", recorded, "--format", "png", "--output", tmp_path / "p.png")
    assert (code, f"{tmp_path / 'p.png'}: tick 0, " in out) == (0, True)
    code, out, _ = townlet(
        "replay", "render", recorded, "--format", "png", "--tick", 5, "--output", tmp_path / "5.png"
    )
    assert (code, f"{tmp_path / '5.png'}: tick 5, " in out) == (0, True)


def test_an_animation_has_the_frames_it_announces(townlet, recorded, tmp_path):
    target = tmp_path / "loop.png"
    code, out, _ = townlet(
        "replay", "render", recorded, "--format", "apng", "--every", 10, "--output", target
    )
    assert (code, "9 frames, one every 10 ticks" in out) == (0, True)
    assert Image.open(io.BytesIO(target.read_bytes())).n_frames == 9


def test_in_a_pipe_text_holds_the_moments_that_tell_something(townlet, recorded):
    code, out, err = townlet("replay", "render", recorded, "--format", "ansi")
    assert code == 0
    assert out.startswith("queue_conflict  00:00  tick 0\n#########\n#·a·S·b·#\n")
    assert "cara and anna quarrel over shower: contention\n" in out
    assert "tick 3\n" not in out
    assert "\x1b" not in out
    assert "--format html" in err


def test_text_of_one_moment_or_of_every_so_many(townlet, recorded):
    _, out, _ = townlet("replay", "render", recorded, "--format", "ansi", "--tick", 3)
    assert out.startswith("queue_conflict  00:03  tick 3\n")
    _, out, _ = townlet("replay", "render", recorded, "--format", "ansi", "--every", 40)
    assert [line for line in out.splitlines() if "tick" in line] == [
        f"queue_conflict  {clock}  tick {tick}"
        for clock, tick in (("00:00", 0), ("00:40", 40), ("01:20", 80))
    ]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--tick", 99, "--format", "png"], 2, "tick 99: the recording shows ticks 0 to 80"),
        (["--tick", 5], 2, "--tick shows one moment; html shows many"),
        (["--every", 5], 2, "--every is the ticks between frames"),
        (["--format", "ansi", "--output", "x"], 2, "--output is a file; ansi is printed"),
        (["--town", 3], 2, "has no town 3; recorded are town 0, episode 0"),
        (["--from", 50, "--to", 20], 2, "ticks 50 to 20: expected a part of 0 to 80"),
        (["--scenario", "no.yaml"], 3, "no.yaml: no such file"),
        (["--format", "webp"], 2, "webp"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(townlet, recorded, options, code, said):
    result = townlet("replay", "render", recorded, *options)
    assert (result[0], said in result[2]) == (code, True), result[2]
    assert "Traceback" not in result[2]


def test_what_is_not_there_exits_3(townlet, tmp_path):
    code, _, err = townlet("replay", "render", tmp_path / "none")
    assert (code, "none: no such file" in err) == (3, True)


def test_the_older_generation_is_shown_as_its_agent_saw_it(townlet, tmp_path):
    for folder in ("queue_conflict", "employment_punctuality", "rivalry_decay", "observation_baseline"):
        target = tmp_path / f"{folder}.html"
        code, out, err = townlet("replay", "render", OLDER / folder, "--output", target)
        assert (code, ": What " in out) == (0, True)
        assert "not the town: its recording is of the older generation" in err
        assert 10_000 < target.stat().st_size < 80_000


@pytest.fixture
def by_chance(townlet, tmp_path):
    """A capture of the same town by the random policy: the folder."""
    words = ("-q", "capture", "queue_conflict", "--policy", "random", "--output", tmp_path / "chance")
    assert townlet(*words)[0] == 0
    return tmp_path / "chance"


def test_two_recordings_of_one_town_are_one_page_with_both_names(townlet, recorded, by_chance):
    code, out, err = townlet("replay", "render", recorded, by_chance)
    page = recorded / "rollout_sample_beside_chance.html"
    assert (code, err) == (0, f"next: open {page} in a browser\n")
    assert ", 3 agents, q: scripted | chance: random, " in out
    first = page.read_bytes()
    words = ("--label", "by script", "--label", "by chance", "--force")
    code, out, _ = townlet("replay", "render", recorded, by_chance, *words)
    assert (code, ", by script | by chance, " in out) == (0, True)
    assert page.read_bytes() != first
    assert townlet("replay", "render", recorded, by_chance, "--force")[0] == 0
    assert page.read_bytes() == first


@pytest.mark.parametrize("form", ["apng", "gif", "mp4"])
def test_two_recordings_move_side_by_side(townlet, recorded, by_chance, tmp_path, form):
    if form == "mp4":
        pytest.importorskip("av")
    target = tmp_path / f"both.{form}"
    words = ("--format", form, "--every", 20, "--output", target)
    code, out, _ = townlet("replay", "render", recorded, by_chance, *words)
    assert (code, f"{target}: 5 frames, one every 20 ticks, " in out) == (0, True)
    start = {"apng": b"\x89PNG", "gif": b"GIF89a", "mp4": b"\0\0\0\x20ftypisom"}[form]
    assert target.read_bytes().startswith(start)


def test_of_two_lengths_the_common_part_is_shown(townlet, recorded, tmp_path):
    short = tmp_path / "short"
    assert townlet("-q", "capture", "queue_conflict", "--ticks", 30, "--output", short)[0] == 0
    code, out, err = townlet("replay", "render", recorded, short)
    assert (code, "ticks 0 to 30" in out) == (0, True)
    assert "the recordings have 80 ticks and 30 ticks; shown are those that both have" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "png"], "--format png shows one recording, and two are given"),
        (["--format", "ansi"], "--format ansi shows one recording, and two are given"),
        (["--label", "one"], "--label names each of two recordings"),
    ],
)
def test_what_two_recordings_cannot_be_is_one_sentence(townlet, recorded, words, said):
    code, _, err = townlet("replay", "render", recorded, recorded, *words)
    assert (code, said in err) == (2, True), err


def test_recordings_of_two_seeds_or_of_parts_of_a_town_are_not_compared(townlet, recorded, tmp_path):
    other = tmp_path / "other"
    assert townlet("-q", "capture", "queue_conflict", "--seed", 8, "--output", other)[0] == 0
    code, _, err = townlet("replay", "render", recorded, other)
    assert (code, "has seed 8, and" in err, "--seed" in err) == (2, True, True)
    code, _, err = townlet("replay", "render", recorded, OLDER / "queue_conflict")
    assert (code, "its samples do not say where they come from" in err) == (2, True)
    code, _, err = townlet("replay", "render", OLDER / "queue_conflict", recorded)
    assert (code, "is of the older generation, and cannot be compared" in err) == (2, True)
    assert townlet("replay", "render", recorded, other, recorded)[0] == 2


def test_a_video_without_its_library_is_refused_before_anything_is_played(townlet, recorded, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "townlet_core.render.video", raising=False)
    code, _, err = townlet("replay", "render", recorded, "--format", "mp4")
    assert (code, err) == (
        3,
        "error: PyAV is not installed, and --format mp4 needs it\nhint: pip install 'townlet[video]'\n",
    )


def test_a_gif_has_the_frames_it_announces_and_a_limit_to_its_speed(townlet, recorded, tmp_path):
    target = tmp_path / "loop.gif"
    words = ("replay", "render", recorded, "--format", "gif", "--output", target)
    assert "9 frames, one every 10 ticks" in townlet(*words, "--every", 10)[1]
    assert Image.open(io.BytesIO(target.read_bytes())).n_frames == 9
    code, _, err = townlet(*words, "--force", "--fps", 60)
    assert (code, "a frame lasts 16 ms, expected at least 20 ms in a GIF" in err) == (2, True)
