"""Captures at s3:// addresses: whole or not there, one writer, and the bytes of a local capture."""

import json
import threading

import pytest

import townlet_core as townlet
from townlet_core.capture import session
from townlet_core.errors import BusyError, DiskError, InputError
from townlet_core.remote.fetch import fetch_dataset

PLACE = "s3://bucket/runs/one"


@pytest.mark.parametrize("form", [{}, {"compress": True}, {"format": "arrow"}])
def test_an_uploaded_capture_has_the_bytes_of_a_local_one(server, tmp_path, form):
    local = townlet.capture("queue_conflict", tmp_path / "c", ticks=8, towns=2, **form)
    captured = townlet.capture("queue_conflict", PLACE, ticks=8, towns=2, **form)
    expected = {
        f"runs/one/{p.name}": p.read_bytes() for p in local.manifest.parent.iterdir() if p.name[0] != "."
    }
    assert server.buckets["bucket"] == expected
    assert captured._replace(manifest=local.manifest) == local


def test_the_manifest_is_the_last_object_and_every_put_is_put_if_absent(server):
    townlet.capture("observation_baseline", PLACE, ticks=2)
    puts = [key for method, key in server.log if method == "PUT"]
    assert puts[0] == "runs/one/rollout_sample_upload.json"
    assert puts[-1] == "runs/one/rollout_sample_manifest.json"
    assert len(puts) == len(set(puts)) == 7


def objects_of(server, place="runs/one/"):
    return sorted(key.removeprefix(place) for key in server.buckets["bucket"] if key.startswith(place))


def test_a_place_that_holds_anything_is_refused_before_towns_are_played(server):
    server.buckets["bucket"]["runs/one/notes.txt"] = b"mine"
    with pytest.raises(InputError, match=f"^{PLACE}: already exists$"):
        townlet.capture("observation_baseline", PLACE, ticks=2)
    with pytest.raises(InputError, match=f"^{PLACE}: holds more than a capture \\('notes.txt'\\)$"):
        townlet.capture("observation_baseline", PLACE, ticks=2, force=True)
    assert server.buckets["bucket"] == {"runs/one/notes.txt": b"mine"}


def test_force_replaces_a_capture_with_its_manifest_first(server):
    townlet.capture("queue_conflict", PLACE, ticks=4, towns=2)
    first = objects_of(server)
    server.log.clear()
    townlet.capture("queue_conflict", PLACE, ticks=4, force=True)
    removed = [key for method, key in server.log if method == "DELETE" and "upload" not in key]
    assert removed[0] == "runs/one/rollout_sample_manifest.json"
    assert len(removed) == len(first)
    assert len(objects_of(server)) < len(first)


def test_what_lies_deeper_or_beside_is_nobodys_business(server):
    others = {"runs/one/deeper/x": b"1", "runs/one-more": b"2", "runs/onex/y": b"3"}
    server.buckets["bucket"].update(others)
    townlet.capture("observation_baseline", PLACE, ticks=2)
    townlet.capture("observation_baseline", PLACE, ticks=2, force=True)
    assert others.items() <= server.buckets["bucket"].items()


def test_of_two_writers_one_wins_and_nothing_is_mixed(server, tmp_path):
    """Both have found the place empty before either says that it is writing there."""
    both, refused, won = threading.Barrier(2), [], []

    def wait_for_the_other(method, key, data):
        if method == "PUT" and key.endswith("_upload.json"):
            both.wait(60)

    server.fault = wait_for_the_other

    def work(seed):
        try:
            won.append((seed, townlet.capture("queue_conflict", PLACE, ticks=6, seed=seed)))
        except BusyError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [(seed, _)] = won
    assert f"{PLACE}: another process is writing here" in refused[0]
    local = townlet.capture("queue_conflict", tmp_path / "c", ticks=6, seed=seed).manifest.parent
    assert server.buckets["bucket"] == {
        f"runs/one/{path.name}": path.read_bytes() for path in local.iterdir() if path.name[0] != "."
    }
    with pytest.raises(InputError, match="already exists"):
        townlet.capture("queue_conflict", PLACE, ticks=6, seed=3)


def test_an_interrupted_upload_has_no_manifest_and_is_replaced_with_force(server):
    server.fault = lambda method, key, data: (
        (403, "AccessDenied") if method == "PUT" and key.endswith("_metrics.json") else None
    )
    with pytest.raises(DiskError, match=r"_metrics\.json: access is denied \(AccessDenied\)"):
        townlet.capture("observation_baseline", PLACE, ticks=2)
    left = objects_of(server)
    assert "rollout_sample_upload.json" in left
    assert "rollout_sample_manifest.json" not in left
    server.fault = lambda method, key, data: None
    with pytest.raises(BusyError, match="is writing here, or was interrupted") as refused:
        townlet.capture("observation_baseline", PLACE, ticks=2)
    assert "--force" in refused.value.hint
    with pytest.raises(InputError, match="holds no manifest: an upload is not finished"):
        fetch_dataset(PLACE)
    townlet.capture("observation_baseline", PLACE, ticks=2, force=True)
    assert "rollout_sample_upload.json" not in objects_of(server)
    assert townlet.validate_replay(fetch_dataset(PLACE)).problems == []


def test_a_capture_that_fails_before_its_upload_leaves_nothing(server, monkeypatch):
    monkeypatch.setattr(session, "write_capture", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        townlet.capture("observation_baseline", PLACE, ticks=2)
    assert server.buckets["bucket"] == {}


def test_a_writer_that_another_one_has_replaced_writes_no_manifest(server):
    def take_over(method, key, data):
        if method == "PUT" and key.endswith("_metrics.json"):
            server.buckets["bucket"]["runs/one/rollout_sample_upload.json"] = b'{"writer": "another"}'

    server.fault = take_over
    with pytest.raises(BusyError, match="another process has taken over with --force"):
        townlet.capture("observation_baseline", PLACE, ticks=2)
    assert "rollout_sample_manifest.json" not in objects_of(server)


def test_a_put_whose_answer_was_lost_is_no_stranger(server):
    """The server keeps the object and answers an error; the library asks again, and finds its own object."""
    lost, keep = [], server.buckets["bucket"]

    def lose_one_answer(method, key, data):
        if method == "PUT" and key.endswith("_manifest.json") and not lost:
            lost.append(key)
            keep[key] = data
            return 500, "InternalError"
        return None

    server.fault = lose_one_answer
    captured = townlet.capture("observation_baseline", PLACE, ticks=2)
    assert lost
    assert captured.entries == json.loads(keep["runs/one/rollout_sample_manifest.json"])["samples"]
    assert "runs/one/rollout_sample_upload.json" not in keep
