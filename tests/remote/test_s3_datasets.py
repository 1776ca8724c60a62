"""Datasets at s3:// addresses: every file is compared with its digest before it is used, and copied once."""

import json
import shutil

import pytest

import townlet_core as townlet
from townlet_core.addresses import remote_address, spelled
from townlet_core.errors import (
    DiskError,
    InputError,
    MissingError,
    MissingFileError,
    MissingLibraryError,
    SampleError,
)
from townlet_core.remote import bucket
from townlet_core.remote.fetch import cache_folder, fetch_dataset, fetch_manifest
from townlet_core.training.settings import TrainingSettings, config_yaml, with_absolute_paths

PLACE = "s3://bucket/runs/one"
MANIFEST = f"{PLACE}/rollout_sample_manifest.json"
TINY = {"cycles": 1, "source": "replay", "num_epochs": 1, "hidden_size": 8}


@pytest.fixture
def uploaded(server):
    townlet.capture("queue_conflict", PLACE, ticks=6)
    server.log.clear()
    return server


def reads(server):
    return [key for method, key in server.log if method == "GET" and key.startswith("runs/one/r")]


@pytest.mark.parametrize("form", ["npz", "arrow"])
def test_a_dataset_is_copied_with_all_its_files_and_valid(server, tmp_path, form):
    local = townlet.capture("queue_conflict", tmp_path / "c", ticks=6, format=form).manifest
    townlet.capture("queue_conflict", PLACE, ticks=6, format=form)
    copy = fetch_dataset(PLACE)
    assert fetch_dataset(MANIFEST) == fetch_manifest(PLACE) == copy / local.name
    there = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert there == {path.name: path.read_bytes() for path in local.parent.iterdir() if path.name[0] != "."}
    assert townlet.validate_replay(copy).problems == []


def test_a_dataset_that_is_here_is_not_copied_again(uploaded):
    copy = fetch_dataset(PLACE)
    assert len(reads(uploaded)) > 5
    uploaded.log.clear()
    assert fetch_dataset(PLACE) == copy
    assert reads(uploaded) == ["runs/one/rollout_sample_manifest.json"]


def test_a_copy_that_has_changed_is_replaced(uploaded):
    copy = fetch_dataset(PLACE)
    path = copy / "rollout_sample_events.jsonl"
    data = path.read_bytes()
    path.write_bytes(b"")
    assert fetch_dataset(PLACE) == copy
    assert path.read_bytes() == data
    path.unlink()
    fetch_dataset(PLACE)
    assert path.read_bytes() == data


@pytest.mark.parametrize("name", ["_events.jsonl", "_001.npz"])
def test_a_file_that_is_not_the_listed_one_is_refused_and_nothing_kept(uploaded, name):
    key = next(key for key in uploaded.buckets["bucket"] if key.endswith(name))
    uploaded.buckets["bucket"][key] += b"x"
    with pytest.raises(SampleError, match=f"^s3://bucket/{key}: its sha256 is not the one in the manifest"):
        fetch_dataset(PLACE)
    assert list(cache_folder().iterdir()) == []
    del uploaded.buckets["bucket"][key]
    with pytest.raises(MissingFileError, match=f"^s3://bucket/{key}: no such object"):
        fetch_dataset(PLACE)


def test_a_file_without_a_digest_is_refused_by_its_address(uploaded):
    key = "runs/one/rollout_sample_manifest.json"
    manifest = json.loads(uploaded.buckets["bucket"][key])
    del manifest["samples"][0]["sha256"]
    uploaded.buckets["bucket"][key] = json.dumps(manifest).encode()
    with pytest.raises(SampleError, match=f"^{MANIFEST}: has no digest of rollout_sample_"):
        fetch_dataset(PLACE)
    uploaded.buckets["bucket"][key] = b'{"samples": ["../x.npz"]}'
    with pytest.raises(SampleError, match=f"^{MANIFEST}: .* leaves the manifest's folder"):
        fetch_dataset(PLACE)


def test_a_place_without_exactly_one_manifest_is_refused(uploaded):
    with pytest.raises(MissingFileError, match=r"^s3://bucket/nothing: no such object or prefix$"):
        fetch_dataset("s3://bucket/nothing")
    uploaded.buckets["bucket"]["runs/one/other_manifest.json"] = b"{}"
    with pytest.raises(InputError, match="holds 2 manifests"):
        fetch_dataset(PLACE)
    uploaded.buckets["bucket"]["notes/x"] = b""
    with pytest.raises(InputError, match="holds no manifest: it holds no dataset"):
        fetch_dataset("s3://bucket/notes")
    with pytest.raises(InputError, match=r"^c/x_manifest.json: is a path, expected s3://BUCKET/PREFIX$"):
        fetch_dataset("c/x_manifest.json")
    with pytest.raises(MissingFileError, match=r"^s3://the-manifest.json: no such bucket"):
        fetch_dataset("s3://the-manifest.json")


def test_a_run_trains_on_an_address_and_resumes_from_it(uploaded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = townlet.capture("queue_conflict", tmp_path / "c", ticks=6).manifest
    expected = townlet.train(TrainingSettings(**TINY | {"cycles": 2}, replay_manifest=(here,)), "local")
    settings = TrainingSettings(**TINY, replay_manifest=(MANIFEST,))
    townlet.train(settings, "run")
    assert f"- {MANIFEST}" in (tmp_path / "run" / "config.yaml").read_text()
    shutil.rmtree(cache_folder())
    assert townlet.resume("run", cycles=2).result.weights_sha256 == expected.result.weights_sha256
    uploaded.buckets["bucket"]["runs/one/rollout_sample_manifest.json"] += b" "
    with pytest.raises(InputError, match="recordings"):
        townlet.resume("run", cycles=3)


def test_an_address_stays_as_it_is_in_settings(tmp_path):
    settings = TrainingSettings(replay_manifest=(MANIFEST,))
    moved = with_absolute_paths(settings, tmp_path)
    assert moved == settings
    assert config_yaml(moved)["training"]["replay_manifest"] == [MANIFEST]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        ("s3://bucket/a/b//", "s3://bucket/a/b"),
        ("s3:/bucket/a", "s3://bucket/a"),
        ("s3://bucket", "s3://bucket"),
        ("a/s3:/b", None),
        ("s3", None),
        ("S3://bucket/x", None),
    ],
)
def test_addresses_are_told_from_paths(text, address):
    assert remote_address(text) == address
    assert spelled(text) == (address or text)


@pytest.mark.parametrize(
    "text", ["s3://", "s3://b", "s3://Bucket/x", "s3://bucket/../x", "s3://bucket/a//b", "s3://bucket/\n"]
)
def test_an_address_that_is_not_well_formed_is_refused(text):
    with pytest.raises(InputError, match="is not well formed, expected s3://BUCKET/PREFIX"):
        remote_address(text)


def test_what_is_missing_and_refused_is_one_sentence(server, monkeypatch):
    with pytest.raises(MissingFileError, match=r"^s3://nowhere: no such bucket at http://127"):
        fetch_dataset("s3://nowhere/x")
    server.fault = lambda method, key, data: (403, "SignatureDoesNotMatch")
    with pytest.raises(DiskError, match=f"^{PLACE}: access is denied \\(SignatureDoesNotMatch\\)$"):
        fetch_dataset(PLACE)
    server.fault = lambda method, key, data: (400, "AuthorizationHeaderMalformed")
    with pytest.raises(DiskError, match=f"^{PLACE}: AuthorizationHeaderMalformed$"):
        fetch_dataset(PLACE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(DiskError, match=f"^{PLACE}: no connection to http://127.0.0.1:9$"):
        fetch_dataset(PLACE)
    monkeypatch.setattr(bucket, "obstore", None)
    with pytest.raises(MissingLibraryError, match="obstore is not installed") as missing:
        fetch_dataset(PLACE)
    assert missing.value.hint == "pip install 'townlet[s3]'"


def test_missing_credentials_are_one_sentence(server, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(bucket, "_RETRIES", {**bucket._RETRIES, "max_retries": 0})
    monkeypatch.setattr(bucket, "_PATIENCE", {"connect_timeout": "100ms"})
    with pytest.raises(MissingError, match=f"^{PLACE}: there are no credentials$") as missing:
        fetch_dataset(PLACE)
    assert "AWS_ACCESS_KEY_ID" in missing.value.hint
