"""Pictures of animations: one moment, and a sheet of those that tell most."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw
from render_recordings import animation_of

from townlet_core.render.animation import NOT_RECORDED, key_moments
from townlet_core.render.poster import contact_sheet, png, poster


@pytest.fixture(scope="module")
def animation(queue):
    return animation_of(queue)


def test_the_most_telling_moment_of_a_quarrel_is_its_beginning(animation):
    assert key_moments(animation, 1) == [2]


def test_several_moments_begin_at_the_beginning_and_keep_their_distance(animation):
    found = key_moments(animation, 6)
    assert found[0] == 0
    assert len(found) == 6
    assert min(b - a for a, b in pairwise(found[1:])) > 6


def test_an_animation_shorter_than_the_sheet_gives_what_it_has(animation):
    short = animation._replace(scenes=animation.scenes[:3], rewards=animation.rewards[:3], events=[])
    assert len(key_moments(short, 6)) == 3


def test_where_nothing_happens_the_moments_are_spread_evenly(animation):
    empty = [scene._replace(objects=()) for scene in animation.scenes]
    assert key_moments(animation._replace(scenes=empty, events=[]), 5) == [0, 20, 40, 60, 80]


def test_a_poster_shows_the_town_and_everybody_beside_it(animation):
    image = Image.open(io.BytesIO(png(poster(animation, 2))))
    assert image.format == "PNG"
    assert image.width > 9 * 64 + 300
    assert len(image.getcolors(256)) > 40


def test_the_same_moment_is_the_same_file_and_another_one_is_not(animation):
    assert png(poster(animation, 2)) == png(poster(animation, 2))
    assert png(poster(animation, 2)) != png(poster(animation, 3))


def test_a_sheet_of_six_is_two_rows_of_three(animation):
    sheet, single = contact_sheet(animation, [0, 1, 2, 3, 4, 5]), contact_sheet(animation, [0])
    assert sheet.width > 3 * 9 * 40
    assert sheet.height > 2 * 6 * 40
    assert single.height < sheet.height


def test_letters_that_the_typeface_lacks_do_not_stop_a_picture(animation):
    strange = animation._replace(title="café 東京 \x1b", description="naïve")
    assert png(poster(strange, 0))
    assert png(contact_sheet(strange, [0, 5]))


def test_a_poster_says_how_many_agents_it_has_no_room_for(animation, monkeypatch):
    scene = animation.scenes[2]
    crowd = [scene.agents[0]._replace(id=f"agent{i}", role=0, object=-1) for i in range(40)]
    scene = scene._replace(agents=tuple(crowd), objects=(), conflicts=())
    said = []
    real = ImageDraw.ImageDraw.text

    def text(self, place, text, *more, **rest):
        said.append(text)
        return real(self, place, text, *more, **rest)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    choices = animation.choices._replace(actions=np.full((1, 40), NOT_RECORDED))
    poster(animation._replace(scenes=[scene], events=[], choices=choices), 0)
    listed = [text for text in said if text.startswith("agent")]
    assert len(listed) < 40
    assert f"and {40 - len(listed)} more" in said
