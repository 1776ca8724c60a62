"""What happened, said for people."""

import pytest

from townlet_core.render.text import event_text
from townlet_core.vocab import EVENTS

WHO = {"actor": "ada", "rival": "ben", "object_id": "till", "reason": "impatience"}


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_is_a_sentence_about_those_who_took_part(name):
    said = event_text({"type": name, **WHO})
    assert " " in said
    assert any(who in said for who in ("ada", "till"))


@pytest.mark.parametrize(
    "name", ["utility_outage", "price_spike", "meeting", "meeting_attended", "chat_failure"]
)
def test_what_an_event_need_not_name_is_not_called_none(name):
    assert "None" not in event_text({"type": name, "actor": "ada"})


def test_an_event_of_another_version_is_shown_by_its_name():
    assert event_text({"type": "eclipse"}) == "eclipse"
