"""The HTML page holds the whole animation, in few bytes, and nothing in it can run but its own script."""

import base64
import hashlib
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import orjson
import pytest
from render_recordings import animation_of

from townlet_core import pages
from townlet_core.render import pack, theme
from townlet_core.render.activity import activities
from townlet_core.render.egocentric import egocentric_animation
from townlet_core.render.html import animation_page
from townlet_core.render.recording import load_recording


def blob_of(page):
    return base64.b64decode(re.search(rb'<script class="film" type="text/plain">([^<]*)</script>', page)[1])


def unpacked(page):
    """Read the blob by the words of pack.py: returns the head, and the columns in order."""
    data = zlib.decompress(blob_of(page))
    length = struct.unpack_from("<I", data)[0]
    head = orjson.loads(data[4 : 4 + length])
    planes = np.frombuffer(data, np.uint8, offset=4 + length).reshape(4, -1).astype(np.uint64)
    folded = planes[0] + (planes[1] << 8) + (planes[2] << 16) + (planes[3] << 24)
    changes = (folded >> 1).astype(np.int64) ^ -(folded & 1).astype(np.int64)
    return head, changes.reshape(-1, head["moments"]).cumsum(axis=1)


def chosen(head, columns, name):
    """Return one of the columns of every agent's choices, (A, N)."""
    names = head["columns"]["choice"]
    return columns[-len(head["agents"]) * len(names) :][names.index(name) :: len(names)]


@pytest.fixture(scope="module")
def animation(queue):
    return animation_of(queue)


def test_a_day_of_eight_in_a_large_town_takes_less_than_200_kilobytes(long_day):
    page = animation_page([long_day])
    assert 20_000 < len(page) < 200_000
    assert unpacked(page)[0]["moments"] == 1441


def test_equal_animations_are_equal_bytes(queue, animation):
    assert animation_page([animation_of(queue)]) == animation_page([animation])


def test_every_number_of_the_animation_is_in_the_page(animation):
    head, columns = unpacked(animation_page([animation]))
    names, agents = head["columns"]["agent"], len(head["agents"])
    told_doing = activities(animation, range(81))
    for m, scene in enumerate(animation.scenes):
        moment = columns[:, m].tolist()
        assert moment[0] == scene.tick
        for i, agent in enumerate(scene.agents):
            told = dict(zip(names, moment[1 + i * len(names) :], strict=False))
            assert (told["x"], told["y"], told["role"], told["object"]) == agent[1:3] + agent[6:8]
            assert told["hygiene"] / pack.NEED_STEPS == pytest.approx(agent.needs[1], abs=0.003)
        shower = moment[1 + agents * len(names) :]
        assert shower[:6] == [0, 4, 1, scene.objects[0].user, scene.objects[0].holder, -1]
        assert [head["doing"][n] for n in chosen(head, columns, "doing")[:, m]] == told_doing[m]
    paid = chosen(head, columns, "reward")[:, 1:].T / pack.REWARD_STEPS
    assert paid == pytest.approx(animation.rewards[1:], abs=1e-4)
    assert chosen(head, columns, "action").T.tolist() == animation.choices.actions.tolist()
    share = chosen(head, columns, "probability")[:, :-1].T / pack.PROBABILITY_STEPS
    assert share == pytest.approx(animation.choices.probabilities[:-1], abs=1e-3)


def test_what_is_not_known_is_told_as_unknown(older):
    recording = load_recording(older / "rollout_sample_ben_002.npz")
    head, columns = unpacked(animation_page([egocentric_animation(recording, "it is old")]))
    wallet = 1 + head["columns"]["agent"].index("wallet")
    assert set(columns[wallet].tolist()) == {pack.UNKNOWN}
    assert chosen(head, columns, "reward")[:, 0].tolist() == [pack.UNKNOWN] * len(head["agents"])


def test_huge_numbers_stay_inside_their_columns(animation):
    rich = [
        scene._replace(agents=(scene.agents[0]._replace(wallet=1e300), *scene.agents[1:]))
        for scene in animation.scenes
    ]
    rewards = np.full_like(animation.rewards, 1e6)
    _, columns = unpacked(animation_page([animation._replace(scenes=rich, rewards=rewards)]))
    assert columns.max() == 900_000_000
    assert columns[columns != pack.UNKNOWN].min() >= -1


def test_events_are_sentences_and_quarrels_know_their_place(animation):
    head, _ = unpacked(animation_page([animation]))
    first = head["events"][0]
    assert first["text"] == "cara and anna quarrel over shower: contention"
    assert (first["moment"], first["over"], first["between"]) == (2, 0, [2, 0])


def test_the_browser_may_run_nothing_but_the_script_of_the_page(animation):
    page = animation_page([animation]).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert not re.search(r"https?:|src=|\bon\w+=\"|innerHTML|eval\(", page)


def test_what_people_write_is_escaped_or_packed(animation):
    nasty = "</title><script>alert(1)</script>{{film}}\"'&"
    page = animation_page([animation._replace(title=nasty, description=nasty)])
    assert page.count(b"<script") == 2
    assert b"alert(1)</script>" not in page
    assert unpacked(page)[0]["description"] == nasty


class Structure(HTMLParser):
    """Every element of a page, as (tag, attributes)."""

    def __init__(self, page):
        super().__init__()
        self.elements = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def elements(animation):
    return Structure(animation_page([animation]).decode()).elements


def test_ids_are_unique_and_everything_that_the_script_asks_for_is_there(elements, animation):
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    asked = re.findall(r'byId\("(\w+)"\)', animation_page([animation]).decode())
    assert set(asked) <= set(ids)
    assert len(set(asked)) > 12


def test_every_control_has_a_name_and_every_column_a_heading(elements, animation):
    page = animation_page([animation]).decode()
    for tag, attributes in elements:
        if tag in ("input", "select"):
            wrapped = re.search(rf'<label><input id="{attributes["id"]}"', page)
            assert attributes.get("aria-label") or wrapped, attributes
    assert all(re.findall(r"<button[^>]*>([^<]*)</button>", page))
    for table in re.findall(r"<thead>(.*?)</thead>", page):
        heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table)
        assert len(heads) >= 3
        assert all(heads)


def test_text_has_contrast_with_what_it_stands_on():
    for scheme in (pages.LIGHT, pages.DARK):
        for ink in ("ink", "soft", "alert"):
            for paper in ("page", "card"):
                assert contrast(scheme[ink], scheme[paper]) >= 4.5, (ink, paper)
    for colour in theme.AGENTS:  # whose letters are white
        assert contrast(colour, "#ffffff") >= 4.5, colour


def contrast(one, other):
    """Return the contrast of two colours as WCAG 2.2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
