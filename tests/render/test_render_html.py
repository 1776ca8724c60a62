"""The HTML page holds the whole animation, in few bytes, and nothing in it can run but its own script."""

import base64
import hashlib
import re
import struct
import zlib

import numpy as np
import orjson
import pytest
from render_recordings import animation_of

from townlet_core.render import pack
from townlet_core.render.egocentric import egocentric_animation
from townlet_core.render.html import animation_page
from townlet_core.render.recording import load_recording


def blob_of(page):
    return base64.b64decode(re.search(rb'<script id="film" type="text/plain">([^<]*)</script>', page)[1])


def unpacked(page):
    """Read the blob by the words of pack.py: returns the head, and the columns in order."""
    data = zlib.decompress(blob_of(page))
    length = struct.unpack_from("<I", data)[0]
    head = orjson.loads(data[4 : 4 + length])
    planes = np.frombuffer(data, np.uint8, offset=4 + length).reshape(4, -1).astype(np.uint64)
    folded = planes[0] + (planes[1] << 8) + (planes[2] << 16) + (planes[3] << 24)
    changes = (folded >> 1).astype(np.int64) ^ -(folded & 1).astype(np.int64)
    return head, changes.reshape(-1, head["moments"]).cumsum(axis=1)


@pytest.fixture(scope="module")
def animation(queue):
    return animation_of(queue)


def test_a_day_of_eight_in_a_large_town_takes_less_than_200_kilobytes(day):
    page = animation_page(animation_of(day))
    assert 20_000 < len(page) < 200_000
    assert unpacked(page)[0]["moments"] == 1441


def test_equal_animations_are_equal_bytes(queue, animation):
    assert animation_page(animation_of(queue)) == animation_page(animation)


def test_every_number_of_the_animation_is_in_the_page(animation):
    head, columns = unpacked(animation_page(animation))
    names, agents = head["columns"]["agent"], len(head["agents"])
    for m, scene in enumerate(animation.scenes):
        moment = columns[:, m].tolist()
        assert moment[0] == scene.tick
        for i, agent in enumerate(scene.agents):
            told = dict(zip(names, moment[1 + i * len(names) :], strict=False))
            assert (told["x"], told["y"], told["role"], told["object"]) == agent[1:3] + agent[6:8]
            assert told["hygiene"] / pack.NEED_STEPS == pytest.approx(agent.needs[1], abs=0.003)
        shower = moment[1 + agents * len(names) :]
        assert shower[:6] == [0, 4, 1, scene.objects[0].user, scene.objects[0].holder, -1]
    paid = columns[-agents:, 1:].T / pack.REWARD_STEPS
    assert paid == pytest.approx(animation.rewards[1:], abs=1e-4)


def test_what_is_not_known_is_told_as_unknown(older):
    recording = load_recording(older / "rollout_sample_ben_002.npz")
    head, columns = unpacked(animation_page(egocentric_animation(recording, "it is old")))
    wallet = 1 + head["columns"]["agent"].index("wallet")
    assert set(columns[wallet].tolist()) == {pack.UNKNOWN}
    assert columns[-3:, 0].tolist() == [pack.UNKNOWN] * 3


def test_huge_numbers_stay_inside_their_columns(animation):
    rich = [
        scene._replace(agents=(scene.agents[0]._replace(wallet=1e300), *scene.agents[1:]))
        for scene in animation.scenes
    ]
    rewards = np.full_like(animation.rewards, 1e6)
    _, columns = unpacked(animation_page(animation._replace(scenes=rich, rewards=rewards)))
    assert columns.max() == 900_000_000
    assert columns.min() >= -1


def test_events_are_sentences_and_quarrels_know_their_place(animation):
    head, _ = unpacked(animation_page(animation))
    first = head["events"][0]
    assert first["text"] == "cara and anna quarrel over shower: contention"
    assert (first["moment"], first["over"], first["between"]) == (2, 0, [2, 0])


def test_the_browser_may_run_nothing_but_the_script_of_the_page(animation):
    page = animation_page(animation).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert not re.search(r"https?:|src=|\bon\w+=\"|innerHTML|eval\(", page)


def test_what_people_write_is_escaped_or_packed(animation):
    nasty = "</title><script>alert(1)</script>{{film}}\"'&"
    page = animation_page(animation._replace(title=nasty, description=nasty))
    assert page.count(b"<script") == 2
    assert b"alert(1)</script>" not in page
    assert unpacked(page)[0]["description"] == nasty
