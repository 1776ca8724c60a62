"""Two recordings of the same town, side by side: what is compared, and what is refused."""

import pytest
from render_recordings import REFERENCE, animation_of, captured

from townlet_core.errors import InputError
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.render.html import animation_page
from townlet_core.render.pair import check_same_town, label_of
from townlet_core.render.recording import load_recording
from townlet_core.scenario.load import load_scenario


@pytest.fixture(scope="module")
def chance(tmp_path_factory):
    """The capture of queue_conflict by chance: the folder."""
    policy = ScriptedPolicy(load_scenario("queue_conflict"), 1.0)
    return captured("queue_conflict", tmp_path_factory.mktemp("x") / "chance", policy, behaviour="random")


def test_two_policies_in_the_same_town_are_named_after_their_folder(queue, chance):
    check_same_town(load_recording(queue), load_recording(chance))
    assert label_of(load_recording(chance)) == "chance: random"
    assert label_of(load_recording(queue)) == f"{queue.name}: scripted"


def test_a_page_of_two_holds_both_and_is_the_same_every_time(queue, chance):
    both = [animation_of(queue), animation_of(chance)]
    page = animation_page(both)
    assert page == animation_page(both)
    assert page.count(b'<script class="film"') == 2
    assert both[0].scenes[0] == both[1].scenes[0]
    assert both[0].scenes[40] != both[1].scenes[40]


@pytest.mark.parametrize(
    ("changes", "said"), [({"seed": 8}, "has seed 8, and .* has 7"), ({"ticks": 90}, None)]
)
def test_another_seed_is_another_town(queue, tmp_path, changes, said):
    other = load_recording(captured("queue_conflict", tmp_path, **changes))
    if said is None:  # a longer recording of the same town
        check_same_town(load_recording(queue), other)
        return
    with pytest.raises(InputError, match=said):
        check_same_town(load_recording(queue), other)


def test_another_scenario_and_the_older_generation_are_refused(queue, tmp_path):
    with pytest.raises(InputError, match=r"has scenario 'rivalry_decay', and .* has 'queue_conflict'"):
        check_same_town(load_recording(queue), load_recording(captured("rivalry_decay", tmp_path)))
    with pytest.raises(InputError, match="is of the older generation"):
        check_same_town(load_recording(queue), load_recording(REFERENCE / "queue_conflict"))
