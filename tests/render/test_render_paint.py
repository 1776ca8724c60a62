"""The picture of a town: its size, and that what happens can be seen in it."""

import numpy as np
import pytest
from PIL import ImageColor

from townlet_core.errors import InputError
from townlet_core.render import theme
from townlet_core.render.paint import paint
from townlet_core.render.scene import DrawnConflict, DrawnObject, opening_scene
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import BUILT_IN_KINDS
from townlet_core.simulation.state import USING

TILE = 32


@pytest.fixture(scope="module")
def scene():
    return opening_scene(load_scenario("queue_conflict"))  # 9 × 6 tiles, a shower at 4,1, anna at 2,1


def tile_at(picture, x, y):
    return picture[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE]


def has_colour(pixels, colour, slack=12):
    """Whether any pixel is nearly of this colour."""
    return (np.abs(pixels.astype(int) - ImageColor.getrgb(colour)).max(axis=2) <= slack).any()


def test_a_picture_has_so_many_pixels_per_tile(scene):
    picture = paint(scene, TILE)
    assert (picture.shape, picture.dtype) == ((6 * TILE, 9 * TILE, 3), np.uint8)


def test_by_default_a_large_town_has_small_tiles_and_a_small_one_large_tiles(scene):
    assert paint(scene).shape == (6 * 64, 9 * 64, 3)
    assert paint(opening_scene(load_scenario("town_day"))).shape == (960, 960, 3)


def test_the_same_scene_is_the_same_picture(scene):
    assert np.array_equal(paint(scene, TILE), paint(scene._replace(), TILE))


def test_every_agent_is_a_disc_of_its_own_colour_where_it_stands(scene):
    picture = paint(scene, TILE)
    for i, agent in enumerate(scene.agents):
        assert has_colour(tile_at(picture, agent.x, agent.y), theme.agent_colour(i))


def test_who_is_not_in_town_is_not_painted(scene):
    gone = scene._replace(agents=(scene.agents[0]._replace(alive=False), *scene.agents[1:]))
    assert not has_colour(tile_at(paint(gone, TILE), 2, 1), theme.agent_colour(0))


def test_a_user_is_marked_and_so_is_what_it_uses(scene):
    user = scene.agents[0]._replace(x=3, y=1, role=USING, object=0, progress=0.5)
    busy = scene._replace(agents=(user, *scene.agents[1:]), objects=(scene.objects[0]._replace(user=0),))
    assert not has_colour(paint(scene, TILE), theme.BUSY)
    assert has_colour(tile_at(paint(busy, TILE), 3, 1), theme.BUSY)
    assert has_colour(tile_at(paint(busy, TILE), 4, 1), theme.BUSY)


def test_a_conflict_is_a_red_burst_around_the_object(scene):
    quarrel = scene._replace(conflicts=(DrawnConflict(0, 1, 0, "contention", 1.0),))
    assert not has_colour(tile_at(paint(scene, TILE), 4, 0), theme.QUARREL[0])
    assert has_colour(tile_at(paint(quarrel, TILE), 4, 0), theme.QUARREL[0])


def test_what_is_out_of_order_is_crossed_out(scene):
    broken = scene._replace(objects=(scene.objects[0]._replace(out_of_order=True),))
    assert has_colour(tile_at(paint(broken, TILE), 4, 1), theme.QUARREL[0])


def test_kinds_of_a_scenario_of_its_own_are_painted_with_a_letter(scene):
    piano = scene._replace(objects=(DrawnObject("upright", "piano", 4, 1),))
    shown = tile_at(paint(piano, TILE), 4, 1)
    own = theme.kind_looks(["piano"])["piano"]
    assert has_colour(shown, own.fill)
    assert has_colour(shown[8:24, 8:24], own.ink, slack=60)


def test_every_built_in_kind_has_a_look_of_its_own():
    assert set(theme.KINDS) == set(BUILT_IN_KINDS)
    assert len({kind.fill for kind in (*theme.KINDS.values(), *theme.OTHER_KINDS)}) == 10


@pytest.mark.parametrize("tile", [0, 7, 97, -3])
def test_tiles_too_small_or_too_large_are_refused_in_a_sentence(scene, tile):
    with pytest.raises(InputError, match=rf"tile_pixels: {tile}, expected 8 to 96"):
        paint(scene, tile)
