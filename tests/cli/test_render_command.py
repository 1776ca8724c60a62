"""`townlet replay render`: what it writes, what it prints, and what it refuses."""

import io
from pathlib import Path

import pytest
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
        (["--format", "gif"], 2, "gif"),
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
