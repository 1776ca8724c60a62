"""A manifest is read in every form people write, never leaves its folder, and proves its samples whole."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_samples import equal, make_sample

from townlet_core.errors import InputError, MissingError, SampleError
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.manifest import examine_entry, load_manifest, save_manifest
from townlet_core.replay.sample import save_sample


@pytest.fixture
def capture(tmp_path):
    """A folder with two samples and their manifest."""
    entries = [save_sample(make_sample(3, name), tmp_path, f"s_{name}_001") for name in ("anna", "ben")]
    return save_manifest(tmp_path, "s", entries, {"scenario": "test"})


def test_a_saved_manifest_is_read_back_whole(capture):
    manifest = load_manifest(capture)
    assert capture.name == "s_manifest.json"
    assert manifest.metadata == {"scenario": "test"}
    assert [entry.agent_id for entry in manifest.entries] == ["anna", "ben"]
    for entry, agent in zip(manifest.entries, ("anna", "ben"), strict=True):
        sample, findings = examine_entry(entry)
        assert equal(sample, make_sample(3, agent))
        assert findings == []


FORMS = {
    "m.json": '[{"sample": "s_anna_001.npz", "meta": "s_anna_001.json"}, {"sample": "s_ben_001.npz"}]',
    "plain.json": '["s_anna_001.npz", "s_ben_001.npz"]',
    "object.json": '{"samples": ["s_anna_001.npz", "s_ben_001.npz"]}',
    "m.yaml": "- s_anna_001.npz\n- sample: s_ben_001.npz\n",
    "m.yml": "metadata: {scenario: test}\nsamples:\n  - {sample: s_anna_001.npz}\n  - s_ben_001.npz\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_names_the_same_samples(capture, name):
    (capture.parent / name).write_text(FORMS[name])
    entries = load_manifest(capture.parent / name).entries
    assert [entry.name for entry in entries] == ["s_anna_001.npz", "s_ben_001.npz"]
    assert [entry.meta.name for entry in entries] == ["s_anna_001.json", "s_ben_001.json"]
    assert all(examine_entry(entry)[0] is not None for entry in entries)


@pytest.mark.parametrize("name", ["../s.npz", "/etc/passwd", "a/../../s.npz", "a/.."])
@pytest.mark.parametrize("key", ["sample", "meta"])
def test_paths_that_leave_the_folder_are_refused(tmp_path, key, name):
    (tmp_path / "m.json").write_text(json.dumps([{"sample": "s.npz"} | {key: name}]))
    with pytest.raises(SampleError, match=rf"m\.json: samples\[0\]\.{key}: .* leaves the manifest's folder"):
        load_manifest(tmp_path / "m.json", ReadLimits(follow_links=True))


def test_links_that_stay_inside_and_subfolders_are_fine(capture):
    os.symlink(capture.parent / "s_anna_001.npz", capture.parent / "link.npz")
    (capture.parent / "m.json").write_text('["link.npz", "below/s.npz"]')
    assert [entry.name for entry in load_manifest(capture.parent / "m.json").entries] == [
        "link.npz",
        "below/s.npz",
    ]


BAD = {
    r"samples\[0\]\.sample: is 'mine', expected a file of a sample, NAME\.npz": '["mine"]',
    r"samples\[0\]\.sample: is '\.', expected a file of a sample": '["."]',
    r"samples\[0\]\.meta: is 'a\.txt', expected .* NAME\.json": '[{"sample": "a.npz", "meta": "a.txt"}]',
    r"samples\[0\]\.meta_sha256: is 'abc', expected 64": '[{"sample": "a.npz", "meta_sha256": "abc"}]',
    r"files: expected": '{"samples": ["a.npz"], "files": ["a"]}',
    r"files\[0\]\.bytes: is '1', expected int": '{"samples": ["a.npz"], "files": {"a": {"bytes": "1"}}}',
    r"files\[0\]: '/a' leaves": '{"samples": ["a.npz"], "files": {"/a": {}}}',
    "is not a manifest": '{"a": 1}',
    "lists no samples": "[]",
    r"samples\[1\]: is not a sample": '["a.npz", 3]',
    r"samples\[0\]\.sample: is 3, expected a file name": '[{"sample": 3}]',
    r"samples\[0\]\.sample: is 'a\\x00', expected a file name": '["a\\u0000"]',
    r"samples\[0\]\.sha256: is 'abc', expected 64": '[{"sample": "a.npz", "sha256": "abc"}]',
    r"samples\[0\]\.frame_count: is True, expected int": '[{"sample": "a.npz", "frame_count": true}]',
    "lists 4 samples, expected at most 3": '["a", "b", "c", "d"]',
}


@pytest.mark.parametrize("sentence", BAD)
def test_what_is_not_a_manifest_is_refused_with_the_place(tmp_path, sentence):
    (tmp_path / "m.json").write_text(BAD[sentence])
    with pytest.raises(SampleError, match=rf"m\.json: {sentence}"):
        load_manifest(tmp_path / "m.json", ReadLimits(max_samples=3))


def test_damaged_text_is_an_input_error_with_its_place(tmp_path):
    (tmp_path / "m.json").write_text("[1,\n 2")
    with pytest.raises(InputError, match=r"m\.json:2"):
        load_manifest(tmp_path / "m.json")
    (tmp_path / "m.yaml").write_text("- a\n- {b")
    with pytest.raises(InputError, match=r"m\.yaml:2:5: syntax: "):
        load_manifest(tmp_path / "m.yaml")
    (tmp_path / "deep.yaml").write_text("[" * 1_000)
    with pytest.raises(InputError, match=r"deep\.yaml:1:18: .*nested more than 16 deep"):
        load_manifest(tmp_path / "deep.yaml")
    aliases = "".join(f"- &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(9))
    (tmp_path / "bomb.yaml").write_text(f"- &a0 [x, x]\n{aliases}- sample: *a9\n")
    with pytest.raises(InputError, match=r"bomb\.yaml:\d+:\d+: .*more than 10,000 values, aliases counted"):
        load_manifest(tmp_path / "bomb.yaml")
    with pytest.raises(MissingError):
        load_manifest(tmp_path / "none.json")


@settings(max_examples=80)
@given(
    text=st.text(st.sampled_from("-[]{}:,'\"&*!|>?@`%#\n \t019.eabnpz_~"), max_size=40),
    data=st.binary(max_size=20),
)
def test_any_text_is_a_manifest_or_refused(tmp_path_factory, text, data):
    folder = tmp_path_factory.getbasetemp() / "any-manifest"
    folder.mkdir(exist_ok=True)
    for suffix in ("json", "yaml"):
        for content in (text.encode(), data, text.encode() + data):
            (folder / f"m.{suffix}").write_bytes(content)
            try:
                manifest = load_manifest(folder / f"m.{suffix}")
            except InputError:
                continue
            assert all(str(entry.sample).startswith(str(folder)) for entry in manifest.entries)


def test_a_flipped_bit_is_caught_by_the_digest_even_where_no_array_lies(capture):
    entry = load_manifest(capture).entries[0]
    data = bytearray(entry.sample.read_bytes())
    data[11] ^= 1  # the file date in the zip, which nothing else reads
    entry.sample.write_bytes(data)
    with pytest.raises(SampleError, match="its sha256 is not the one in the manifest"):
        examine_entry(entry)


def test_a_changed_json_is_caught_by_its_digest(capture):
    entry = load_manifest(capture).entries[0]
    entry.meta.write_bytes(entry.meta.read_bytes().replace(b'"scripted"', b'"scriptef"'))
    findings = examine_entry(entry)[1]
    assert [(f.severity, f.file, "sha256" in f.message) for f in findings] == [
        ("problem", str(entry.meta), True)
    ]


@pytest.mark.parametrize(("key", "value"), [("agent_id", "cara"), ("frame_count", 4), ("bytes", 5)])
def test_a_manifest_that_says_otherwise_than_the_sample_is_a_problem(capture, key, value):
    content = json.loads(capture.read_text())
    content["samples"][0][key] = value
    capture.write_text(json.dumps(content))
    sample, findings = examine_entry(load_manifest(capture).entries[0])
    assert sample is None
    assert [(finding.severity, finding.place) for finding in findings] == [("problem", key)]


def test_reference_manifests_load(captures):
    counts = {
        path.parent.name: len(load_manifest(path).entries) for path in captures.glob("*/*manifest.json")
    }
    assert counts == {
        "employment_punctuality": 2,
        "observation_baseline": 1,
        "queue_conflict": 3,
        "rivalry_decay": 2,
        "two_step": 3,
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('samples: !!int ""', r"odd\.yaml:1:10: samples: tag 'tag:yaml.org,2002:int' is not used here"),
        ("metadata: {a: !!set {x}}\nsamples: [a.npz]", r"metadata\.a: tag .* is not used here"),
        ("metadata: {[2]: a}\nsamples: [a.npz]", "a key is a list, a block or an alias, expected text"),
    ],
)
def test_yaml_that_is_more_than_json_is_refused(tmp_path, text, sentence):
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(InputError, match=sentence):
        load_manifest(tmp_path / "odd.yaml")


def test_dates_of_yaml_are_text(tmp_path):
    (tmp_path / "m.yaml").write_text("metadata: {made: 2026-01-01}\nsamples: [a.npz]")
    assert load_manifest(tmp_path / "m.yaml").metadata == {"made": "2026-01-01"}
