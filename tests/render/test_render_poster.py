"""Pictures of films: one moment, a sheet of those that tell most, a loop of them all."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw
from render_recordings import film_of

from townlet_core.errors import InputError
from townlet_core.render.animation import key_moments
from townlet_core.render.poster import MAX_FRAMES, animate, contact_sheet, frames_of, png, poster, stride_for


@pytest.fixture(scope="module")
def film(queue):
    return film_of(queue)


def test_the_most_telling_moment_of_a_quarrel_is_its_beginning(film):
    assert key_moments(film, 1) == [2]


def test_several_moments_begin_at_the_beginning_and_keep_their_distance(film):
    found = key_moments(film, 6)
    assert found[0] == 0
    assert len(found) == 6
    assert min(b - a for a, b in pairwise(found[1:])) > 6


def test_a_film_shorter_than_the_sheet_gives_what_it_has(film):
    short = film._replace(scenes=film.scenes[:3], rewards=film.rewards[:3], events=[])
    assert len(key_moments(short, 6)) == 3


def test_where_nothing_happens_the_moments_are_spread_evenly(film):
    empty = [scene._replace(objects=()) for scene in film.scenes]
    assert key_moments(film._replace(scenes=empty, events=[]), 5) == [0, 20, 40, 60, 80]


def test_a_poster_shows_the_town_and_everybody_beside_it(film):
    image = Image.open(io.BytesIO(png(poster(film, 2))))
    assert image.format == "PNG"
    assert image.width > 9 * 64 + 300
    assert len(image.getcolors(256)) > 40


def test_the_same_moment_is_the_same_file_and_another_one_is_not(film):
    assert png(poster(film, 2)) == png(poster(film, 2))
    assert png(poster(film, 2)) != png(poster(film, 3))


def test_a_sheet_of_six_is_two_rows_of_three(film):
    sheet, single = contact_sheet(film, [0, 1, 2, 3, 4, 5]), contact_sheet(film, [0])
    assert sheet.width > 3 * 9 * 40
    assert sheet.height > 2 * 6 * 40
    assert single.height < sheet.height


def test_letters_that_the_typeface_lacks_do_not_stop_a_picture(film):
    strange = film._replace(title="café 東京 \x1b", description="naïve")
    assert png(poster(strange, 0))
    assert png(contact_sheet(strange, [0, 5]))


def test_an_animation_plays_every_moment_it_was_given(film):
    loop = Image.open(io.BytesIO(animate(film, [0, 2, 4, 10], 100)))
    assert (loop.n_frames, loop.info["loop"]) == (4, 0)
    first = np.asarray(loop.convert("RGB"))
    loop.seek(1)
    assert not np.array_equal(first, np.asarray(loop.convert("RGB")))


def test_a_long_film_is_shown_with_a_stride_that_keeps_its_frames_few(film, day):
    long = film_of(day)
    assert (stride_for(film), stride_for(long)) == (1, 7)
    assert len(frames_of(long, 7)) <= MAX_FRAMES
    assert frames_of(long, 7)[-1] == 1440
    for moments in range(1, 4 * MAX_FRAMES):
        film = long._replace(scenes=long.scenes[:moments])
        assert len(frames_of(film, stride_for(film))) <= MAX_FRAMES
    with pytest.raises(InputError, match=r"1,441 frames, expected at most 240"):
        frames_of(long, 1)


def test_a_poster_says_how_many_agents_it_has_no_room_for(film, monkeypatch):
    scene = film.scenes[2]
    crowd = [scene.agents[0]._replace(id=f"agent{i}", role=0, object=-1) for i in range(40)]
    scene = scene._replace(agents=tuple(crowd), objects=(), conflicts=())
    said = []
    real = ImageDraw.ImageDraw.text

    def text(self, place, text, *more, **rest):
        said.append(text)
        return real(self, place, text, *more, **rest)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    poster(film._replace(scenes=[scene], events=[]), 0)
    listed = [text for text in said if text.startswith("agent")]
    assert len(listed) < 40
    assert f"and {40 - len(listed)} more" in said
