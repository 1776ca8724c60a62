"""Whatever is captured, filtered, cut, split and merged: the results validate, and nothing is lost."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_core.capture.session import capture
from townlet_core.handling.copying import read_samples
from townlet_core.handling.filter import filter_samples
from townlet_core.handling.merge import Merge
from townlet_core.handling.refer import save_selection
from townlet_core.handling.slice import TickRange, slice_samples
from townlet_core.handling.sources import open_sources
from townlet_core.handling.split import split_samples
from townlet_core.handling.writer import Form, write_dataset
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import entry_metadata, read_entry
from townlet_core.replay.selection import fingerprint
from townlet_core.replay.validate import validate_path

AGENTS = ("anna", "ben", "cara")
CAPTURES = st.fixed_dictionaries(
    {
        "towns": st.integers(1, 3),
        "ticks": st.integers(2, 170),
        "seed": st.integers(0, 3),
        "compress": st.booleans(),
    }
)
FORMS = st.sampled_from(
    [Form(), Form(compression="deflated"), Form(format="arrow"), Form("x", "arrow", "none")]
)


def prints(path):
    return {fingerprint(read_entry(entry)) for entry in find_entries(path)}


def assert_sound(path):
    report = validate_path(path)
    assert report.samples
    assert [str(finding) for finding in report.problems] == []


def copy(sources, output, form):
    write_dataset(output, sources, read_samples(sources), form)
    assert_sound(output)


@settings(max_examples=12)
@given(CAPTURES, FORMS, FORMS, st.data())
def test_filters_slices_splits_and_merges_are_sound(wanted, form, other, data):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        capture("queue_conflict", folder / "all", **wanted)
        copy(open_sources([folder / "all"]), folder / "first", form)
        sources = open_sources([folder / "first"])

        agents = data.draw(st.sets(st.sampled_from(AGENTS), min_size=1))
        chosen = filter_samples(sources, f"town <= {data.draw(st.integers(0, 2))}", sorted(agents))
        assert_sound(save_selection(folder / "first" / "chosen_manifest.json", chosen, {}))
        copy(chosen, folder / "copy", other)
        assert prints(folder / "copy") == prints(folder / "first" / "chosen_manifest.json")

        start = data.draw(st.integers(0, wanted["ticks"] - 1))
        stop = data.draw(st.integers(start + 1, wanted["ticks"] + 5))
        cuts = slice_samples(chosen, TickRange(start, stop))
        written = write_dataset(folder / "cut", chosen, cuts, other)
        assert_sound(folder / "cut")
        about = [entry_metadata(entry) for entry in find_entries(folder / "copy")]
        lives = {(one["capture"]["town"], one["agent_id"]) for one in about}
        assert written.transitions == len(lives) * (min(stop, wanted["ticks"]) - start)

        if wanted["towns"] > 1:
            for side, part in split_samples(sources, 0.4, data.draw(st.integers(0, 9))).items():
                copy(part, folder / side, form)
            assert not prints(folder / "train") & prints(folder / "validation")
            joined = open_sources([folder / "train", folder / "validation"])
            write_dataset(folder / "joined", joined, Merge(joined), other)
            assert_sound(folder / "joined")
            assert prints(folder / "joined") == prints(folder / "all")
