"""The page in a real browser: what a reader sees, reaches with the keyboard, and is told."""

import json

import numpy as np
import pytest
from render_recordings import animation_of, captured

from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.render.egocentric import egocentric_animation
from townlet_core.render.html import animation_page
from townlet_core.render.recording import load_recording
from townlet_core.scenario.load import load_scenario

WIDE, NARROW = (1280, 860), (400, 800)
READY = "document.documentElement.dataset.ready"


@pytest.fixture(scope="module")
def pages(queue, long_day, older, tmp_path_factory):
    """Pages by name: queue, day, old, pair. The queue has values, as if a critic had looked."""
    folder = tmp_path_factory.mktemp("pages")
    chance = ScriptedPolicy(load_scenario("queue_conflict"), 1.0)
    other = animation_of(captured("queue_conflict", folder / "chance", chance, behaviour="random"))
    film = animation_of(queue)
    values = np.linspace(-1, 2, 81 * 3, dtype=np.float32).reshape(81, 3)
    film = film._replace(choices=film.choices._replace(values=values))
    old = egocentric_animation(load_recording(older), "it is old")
    pair = [film._replace(label="script"), other._replace(label="chance")]
    for name, films in {"queue": [film], "day": [long_day], "old": [old], "pair": pair}.items():
        (folder / f"{name}.html").write_bytes(animation_page(films))
    return folder


@pytest.fixture
def visit(browser, pages):
    """Open a page at a hash and return the browser; the page must not complain until the test is over."""

    def call(name="queue", fragment="", size=WIDE, scheme="light"):
        browser.open(pages / f"{name}.html", fragment, size, scheme)
        browser.wait_for(READY)
        return browser

    yield call
    assert browser.complaints == []


def text(browser, selector):
    return browser.ask(f"document.querySelector({json.dumps(selector)}).textContent")


def focus(browser):
    """Return the id, or else the text, of what has the focus."""
    return browser.ask("document.activeElement.id || document.activeElement.textContent")


def red(pixels):
    return (np.abs(pixels.astype(int) - (0xE0, 0x2F, 0x2F)).max(axis=2) < 4).sum()


def test_the_page_starts_and_is_not_blank(visit):
    page = visit()
    assert page.ask(READY) == "81"
    assert text(page, "#title") == "queue_conflict"
    assert len(np.unique(page.picture() @ np.array([65536, 256, 1]))) > 200


def test_a_moment_can_be_linked_to_and_shows_its_conflict(visit):
    page = visit(fragment="tick=5")
    assert text(page, "#tick") == "tick 5 of 80"
    assert text(page, ".events .new span") == "cara and anna quarrel over shower: impatience"
    assert red(page.picture()) > red(visit(fragment="tick=30").picture()) + 1000


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("name", ["queue", "day", "old", "pair"])
def test_nothing_is_cut_and_nothing_scrolls_sideways(visit, name, size):
    page = visit(name, "tick=30", size)
    told = ".events span, .about, .strips p, button, .state, #facts, summary, #count"
    cut = f"""[...document.querySelectorAll("{told}")].filter(one =>
        one.clientWidth && one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"""
    assert page.ask(cut) == []
    assert page.ask("document.documentElement.scrollWidth") == size[0]
    beyond = (
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth)"
    )
    assert page.ask(f"{beyond}.map(e => e.outerHTML.slice(0, 80))") == []


def test_it_plays_to_the_end_and_stops(visit):
    page = visit(fragment="tick=78&play")
    page.wait_for("!playing")
    assert (text(page, "#tick"), text(page, "#play")) == ("tick 80 of 80", "Play")


def test_the_reader_s_scheme_is_taken_until_told_otherwise(visit):
    light, dark = visit(scheme="light").picture().mean(), visit(scheme="dark").picture().mean()
    assert dark < 90 < light
    page = visit(scheme="dark", fragment="theme=light")
    assert page.picture().mean() > 200
    page.press("d")
    assert page.picture().mean() < 90


def test_nothing_moves_when_a_number_gets_another_digit(visit):
    page = visit("day", "tick=999")
    places = """[...document.querySelectorAll("#controls *, .map, .card, .list tr")].map(one => {
        const { left, top, width, height } = one.getBoundingClientRect();
        return [left, top, width, height].join();
    }).join()"""
    seen = set()
    for tick in (0, 9, 10, 99, 100, 999, 1000, 1440):
        page.ask(f"go({tick})")
        seen.add(page.ask(places))
    assert len(seen) == 1


def test_names_of_agents_and_objects_do_not_hide_each_other(visit):
    shown = """(() => {
        const found = [], box = name => [name.text, name.left, name.top, name.w, name.h];
        for (let m = 0; m < film_moments; m += step) { go(m); found.push(views[0].labels.names.map(box)); }
        return found;
    })()"""
    for name, moments, step in (("queue", 81, 1), ("day", 1441, 90)):
        page = visit(name)
        for names in page.ask(shown.replace("film_moments", str(moments)).replace("step", str(step))):
            told = [name[0] for name in names]
            if name == "queue":
                assert sorted(told) == ["anna", "ben", "cara", "shower"]
            for i, (one, x, y, w, h) in enumerate(names):
                for other, x2, y2, w2, h2 in names[:i]:
                    apart = (
                        x + w <= x2 + 0.01 or x2 + w2 <= x + 0.01 or y + h <= y2 + 0.01 or y2 + h2 <= y + 0.01
                    )
                    assert apart, (one, other)


def test_the_pointer_is_told_who_and_what_is_under_it(visit):
    page = visit(fragment="tick=5")
    middle = """(() => {
        const box = views[0].canvas.getBoundingClientRect(), tile = box.width / films[0].width;
        return [box.left + (X + .5) * tile, box.top + (Y + .5) * tile];
    })()"""
    shower = middle.replace("X", "films[0].objects[0].x[5]").replace("Y", "films[0].objects[0].y[5]")
    page.point(*page.ask(shower))
    assert text(page, ".tip") == "shower: used by anna; in line: cara, ben"
    ben = middle.replace("X", "films[0].agents[1].x[5]").replace("Y", "films[0].agents[1].y[5]")
    page.point(*page.ask(ben), click=True)
    assert text(page, ".tip") == "ben: 2nd in line: shower"
    assert text(page, ".detail h3") == "ben"
    page.point(1, 1)
    assert page.ask("document.querySelector('.tip').hidden")


def test_conflicts_are_visited_in_both_directions_and_their_ends_are_told(visit):
    page = visit()
    moments = page.ask("[...new Set(films[0].quarrels.map(event => event.moment))]")
    ends = "[byId('before'), byId('after')].map(button => button.getAttribute('aria-disabled'))"
    assert page.ask(ends) == ["true", "false"]
    for moment in moments:
        page.press("q")
        assert page.ask("now") == moment
    assert page.ask(ends) == ["false", "true"]
    page.press("q")
    assert page.ask("now") == moments[-1]
    for moment in moments[-2::-1]:
        page.press("Q", shift=True)
        assert page.ask("now") == moment
    assert page.ask(ends) == ["true", "false"]
    assert text(page, "#spoken").startswith("tick 2 of 80. cara and anna quarrel over shower")
    assert visit("old").ask(ends) == ["true", "true"]


def test_the_keyboard_alone_reaches_and_selects_an_agent(visit):
    page = visit()
    for _ in range(30):
        page.press("Tab")
        if focus(page).startswith("A"):
            break
    assert focus(page).startswith("Aanna")
    page.press("ArrowDown")
    page.press("ArrowDown")
    assert focus(page).startswith("Ccara")
    page.press("Enter")
    assert text(page, ".detail h3") == "cara"
    assert page.ask("views[0].rows.map(row => row.button.getAttribute('aria-pressed'))") == [
        "false",
        "false",
        "true",
    ]
    page.press("Escape")
    assert text(page, ".detail h3") == "Nobody selected"


def test_a_key_does_what_the_focused_control_says(visit):
    page = visit()
    page.ask("byId('names').focus()")
    page.press(" ")
    assert page.ask("[named, playing]") == [False, False]
    page.ask("byId('scrub').focus()")
    page.press("ArrowRight")
    assert page.ask("now") == 1
    page.ask("document.activeElement.blur()")
    page.press("ArrowRight")
    page.press("End")
    assert page.ask("now") == 80
    page.ask("byId('letters').click(); byId('letters').blur()")
    page.press("n")
    assert page.ask("named") is False  # single characters are off
    page.press("Home")
    assert page.ask("now") == 0


def test_the_focus_stays_on_an_event_that_was_gone_to(visit):
    page = visit(fragment="tick=80")
    page.ask("document.querySelectorAll('.events button')[2].focus()")
    before = focus(page)
    page.press("Enter")
    assert focus(page) == before
    assert page.ask("now") < 80


def test_what_was_recorded_of_the_selected_agent_is_shown(visit):
    page = visit(fragment="tick=0")
    about = "[...document.querySelectorAll('.strips p span:first-child')].map(one => one.textContent)"
    film = "films[0].agents[0]"
    share, value = page.ask(f"[{film}.probability[0] / 1000, {film}.value[0] / 1000]")
    assert page.ask(about) == [
        f"probability of east: {round(share * 100)}\u00a0%",
        f"critic's value: {value:.2f}",
        "reward: none",
    ]
    assert (share > 0.9, value) == (True, -1)
    ranges = "[...document.querySelectorAll('.strips p span:last-child')].map(one => one.textContent)"
    assert page.ask(ranges) == ["0 to 100 %", "-1.00 to 2.00", "of each tick"]
    blue = page.ask("""(() => { const { canvas } = views[0].strips[1], { data } = canvas.getContext('2d')
        .getImageData(0, 0, canvas.width, canvas.height); let found = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] === 0x2f && data[i + 2] === 0xde) found++;
        return [found, canvas.width]; })()""")
    assert blue[0] > blue[1]  # a line from one end to the other
    assert text(page, ".about").startswith("walks east · hunger 100\u00a0%")


def test_everything_has_its_status_and_the_legend_its_kinds(visit):
    page = visit("day", "tick=480")
    doing = page.ask("[...document.querySelectorAll('.who small')].map(one => one.textContent)")
    assert len(doing) == 8
    assert all(doing)
    legend = text(page, "#legend ul")
    for kind in ("bed", "fridge", "shower", "conflict", "place in line", "selected"):
        assert kind in legend
    page.ask("document.querySelector('.objects summary').click()")
    page.wait_for("document.querySelector('.objects td').textContent")
    assert page.ask("document.querySelectorAll('.objects tbody tr').length") == page.ask(
        "films[0].objects.length"
    )


def test_two_recordings_play_together_and_are_told_apart(visit):
    page = visit("pair", "tick=0")
    names = "[...document.querySelectorAll('.stage .whose, .side .whose, #compare th[scope=row]')]"
    assert page.ask(names + ".map(one => one.textContent)") == ["A · script", "B · chance"] * 3
    page.ask("go(40)")
    shown = "views.map(view => view.canvas.toDataURL())"
    one, other = page.ask(shown)
    assert one != other
    sums = "[...document.querySelectorAll('#compare tbody tr')].map(row => +row.cells[1].textContent)"
    assert page.ask(sums) == pytest.approx(page.ask("films.map(film => film.sum[40])"), abs=0.006)
    page.ask("views[1].rows[2].button.click()")
    assert (
        page.ask("[...document.querySelectorAll('.detail h3')].map(one => one.textContent)") == ["cara"] * 2
    )


@pytest.mark.parametrize("name", ["queue", "pair"])
def test_every_control_and_every_picture_has_a_name_for_who_does_not_see_it(visit, name):
    page = visit(name, "tick=5")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    told = [
        (node["role"]["value"], node["name"]["value"])
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in ("button", "slider", "combobox", "checkbox", "image", "img")
    ]
    assert len(told) > 15
    assert [role for role, name in told if not name.strip()] == []
    assert ("slider", "Moment") in told


def test_without_scripts_the_page_says_what_it_needs(browser, pages):
    browser.open(pages / "queue.html", scripts=False)
    assert "This page plays a recording with the script it carries" in str(
        browser.call("Accessibility.getFullAXTree")
    )
