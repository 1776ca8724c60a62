"""Moving pictures: an animated PNG, a GIF, a video, of one town or of two side by side."""

import importlib
import io
import sys

import numpy as np
import pytest
from PIL import Image
from render_recordings import animation_of

from townlet_core.errors import InputError, MissingLibraryError
from townlet_core.render import theme
from townlet_core.render.frames import MAX_FRAMES, frames_of, paint_frames, shared_palette, stride_for
from townlet_core.render.loop import animated_png, gif

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def animation(queue):
    return animation_of(queue)


@pytest.fixture(scope="module")
def frames(animation):
    """The frames of five moments; a quarrel breaks out in the second."""
    return list(paint_frames([animation], [0, 2, 4, 10, 12]))


def is_shown(picture, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(picture.astype(int) - wanted).max(axis=2) < 12).sum() > 100


@pytest.mark.parametrize(("save", "form"), [(animated_png, "PNG"), (gif, "GIF")])
def test_a_loop_plays_every_frame_for_its_time_and_holds_the_last(animation, frames, save, form):
    loop = Image.open(io.BytesIO(save(frames, shared_palette([animation]), 120)))
    assert (loop.format, loop.n_frames, loop.info["loop"]) == (form, 5, 0)
    for n, frame in enumerate(frames):
        loop.seek(n)
        assert loop.info["duration"] == (120 if n < 4 else 1500)
        shown = np.asarray(loop.convert("RGB")).astype(int)
        assert np.abs(shown - np.asarray(frame)).mean() < 2


def test_a_colour_that_is_not_in_the_first_frame_is_not_lost(animation, frames):
    loop = Image.open(io.BytesIO(gif(frames, shared_palette([animation]), 120)))
    assert not is_shown(np.asarray(loop.convert("RGB")), theme.QUARREL[1])
    loop.seek(1)
    assert is_shown(np.asarray(loop.convert("RGB")), theme.QUARREL[1])


def test_a_gif_is_not_faster_than_players_show(frames, animation):
    with pytest.raises(InputError, match="a frame lasts 16 ms, expected at least 20 ms in a GIF"):
        gif(frames, shared_palette([animation]), 16)


def test_a_video_plays_every_frame_and_holds_the_last(frames):
    from townlet_core.render.video import mp4

    with av.open(io.BytesIO(mp4(frames, 4))) as video:
        [stream] = video.streams
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 4)
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
    assert len(shown) == 5 + 5  # a second and a half of the last
    height, width, _ = np.asarray(frames[1]).shape  # the video may have a row and a column more
    assert np.abs(shown[1][:height, :width].astype(int) - np.asarray(frames[1])).mean() < 4
    assert is_shown(shown[1], theme.QUARREL[1])
    assert np.abs(shown[-1][:height, :width].astype(int) - np.asarray(frames[4])).mean() < 4


def test_a_video_begins_with_its_index(frames):
    from townlet_core.render.video import mp4

    data, atoms, place = mp4(frames, 4), [], 0
    while place < len(data):
        atoms.append(data[place + 4 : place + 8])
        place += int.from_bytes(data[place : place + 4], "big")
    assert atoms == [b"ftyp", b"moov", b"free", b"mdat"]


def test_a_video_of_odd_size_is_padded(frames):
    from townlet_core.render.video import mp4

    with av.open(io.BytesIO(mp4([frames[0].crop((0, 0, 101, 77))], 1))) as video:
        assert (video.streams[0].width, video.streams[0].height) == (102, 78)


def test_equal_frames_are_equal_files(animation, frames):
    from townlet_core.render.video import mp4

    palette = shared_palette([animation])
    assert mp4(frames, 4) == mp4(frames, 4)
    assert gif(frames, palette, 120) == gif(frames, palette, 120)


def test_without_pyav_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "townlet_core.render.video", raising=False)
    with pytest.raises(MissingLibraryError, match="PyAV is not installed, and --format mp4 needs it") as said:
        importlib.import_module("townlet_core.render.video")
    assert said.value.hint == "pip install 'townlet[video]'"


def test_two_towns_are_painted_side_by_side(animation, frames):
    [both] = paint_frames([animation._replace(label="A"), animation._replace(label="B")], [2])
    pixels = np.asarray(both)
    middle = both.width // 2
    town = (400 // animation.scenes[0].width) * animation.scenes[0].height
    assert np.array_equal(pixels[:town, : middle - 6], pixels[:town, middle + 6 :])
    assert not np.array_equal(pixels[town:, : middle - 6], pixels[town:, middle + 6 :])  # their names


def test_a_long_animation_is_shown_with_a_stride_that_keeps_its_frames_few(animation, long_day):
    assert (stride_for(animation), stride_for(long_day)) == (1, 7)
    assert len(frames_of(long_day, 7)) <= MAX_FRAMES
    assert frames_of(long_day, 7)[-1] == 1440
    for moments in range(1, 4 * MAX_FRAMES):
        animation = long_day._replace(scenes=long_day.scenes[:moments])
        assert len(frames_of(animation, stride_for(animation))) <= MAX_FRAMES
    assert len(frames_of(long_day, 1, most=None)) == 1441
    with pytest.raises(InputError, match=r"1,441 frames, expected at most 240"):
        frames_of(long_day, 1)
