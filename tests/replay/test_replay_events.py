"""Event logs are read line by line, and every line is what the documentation says."""

import pytest

from townlet_core.errors import InputError, MissingError
from townlet_core.replay.events import count_events, load_events, save_events
from townlet_core.replay.limits import ReadLimits

CONFLICT = {
    "tick": 3,
    "town": 0,
    "type": "queue_conflict",
    "object_id": "shower_1",
    "actor": "anna",
    "rival": "ben",
    "reason": "contention",
    "queue_length": 2,
    "intensity": 1.25,
}
CHAT = {"tick": 4, "town": 1, "type": "chat_success", "actor": "anna"}


def test_events_are_read_back_in_order_and_counted(tmp_path):
    path = save_events(tmp_path, "rollout_sample", [CONFLICT, CHAT, CONFLICT])
    assert path.name == "rollout_sample_events.jsonl"
    assert list(load_events(path)) == [CONFLICT, CHAT, CONFLICT]
    assert count_events(path) == {"queue_conflict": 2, "chat_success": 1}


def test_a_capture_without_events_is_an_empty_log(tmp_path):
    assert count_events(save_events(tmp_path, "s", [])) == {}


BAD = {
    "tick is None": CHAT | {"tick": None},
    "town is -1": CHAT | {"town": -1},
    r"unknown event type 'chat_succes' \(did you mean 'chat_success'\?\)": CHAT | {"type": "chat_succes"},
    "queue_conflict has no rival, intensity": {
        k: v for k, v in CONFLICT.items() if k not in ("rival", "intensity")
    },
    "reason 'hunger', expected ghost_step, contention, impatience": CONFLICT | {"reason": "hunger"},
    "queue_length is -1": CONFLICT | {"queue_length": -1},
    "intensity is 7, expected": CONFLICT | {"intensity": 7},
    "unknown event type None": {"tick": 1, "town": 1},
}


@pytest.mark.parametrize("sentence", BAD)
def test_an_event_that_is_not_one_is_refused_with_its_line(tmp_path, sentence):
    path = save_events(tmp_path, "s", [CHAT, BAD[sentence]])
    with pytest.raises(InputError, match=rf"s_events\.jsonl:2: {sentence}"):
        list(load_events(path))


def test_lines_that_are_not_objects_or_too_long_are_refused(tmp_path):
    path = tmp_path / "s_events.jsonl"
    for text, sentence in (
        ("[]\n", ":1: is not a JSON object"),
        ("{\n", ":1:.*not JSON"),
        ("x" * 50, "longer than 40"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=sentence):
            list(load_events(path, ReadLimits(max_line_bytes=40)))
    with pytest.raises(MissingError):
        list(load_events(tmp_path / "none.jsonl"))


def test_a_blank_line_is_no_event_and_no_damage(tmp_path):
    path = save_events(tmp_path, "x", [{"tick": 0, "town": 0, "type": "shower_complete"}])
    path.write_bytes(b"\n" + path.read_bytes() + b"  \r\n\n")
    assert count_events(path) == {"shower_complete": 1}
