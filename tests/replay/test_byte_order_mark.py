"""Every format is read with a UTF-8 byte-order mark before it, as some editors write it, and without."""

import codecs

import pytest
from replay_samples import make_sample

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.replay.events import load_events, save_events
from townlet_core.replay.manifest import load_manifest
from townlet_core.replay.metrics import load_metrics
from townlet_core.replay.sample import load_sample, save_sample
from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.scenario.load import load_scenario
from townlet_core.telemetry.alerts import load_alert_rules
from townlet_core.telemetry.drift import load_baseline
from townlet_core.telemetry.reader import read_records
from townlet_core.training.settings import resolve_settings

SCENARIO = bundled_scenarios()["queue_conflict"].read_bytes()


def read_sample(path):
    save_sample(make_sample(), path.parent, "other")
    path.write_bytes(codecs.BOM_UTF8 + (path.parent / "other.json").read_bytes())
    return load_sample(path.parent / "other.npz", path)[0]


def read_log(path):
    damage = []
    return len(list(read_records(path, lambda *found: damage.append(found)))) == 1 and not damage


READERS = {
    "scenario.yaml": (SCENARIO, load_scenario),
    "manifest.json": (b'["a.npz"]', load_manifest),
    "manifest.yaml": (b"- a.npz", load_manifest),
    "metadata.json": (b"", read_sample),
    "x_metrics.json": (b'{"a.npz": {"timesteps": 1}}', load_metrics),
    "rules.yaml": (b"- lr > 1", load_alert_rules),
    "rules.json": (b'["lr > 1"]', load_alert_rules),
    "config.yaml": (b"training: {cycles: 7}", lambda path: resolve_settings({}, path)[0].cycles == 7),
    "run.json": (b"{}", io.read_json),
    "log.jsonl": (b'{"epoch": 1}\n', read_log),
    "baseline.json": (b'{\n"lr": 1}', load_baseline),
}


@pytest.mark.parametrize("name", READERS)
def test_every_format_is_read_with_a_byte_order_mark(tmp_path, name):
    data, read = READERS[name]
    (tmp_path / name).write_bytes(codecs.BOM_UTF8 + data)
    assert read(tmp_path / name) is not False


def test_an_event_log_is_read_with_a_byte_order_mark(tmp_path):
    path = save_events(tmp_path, "x", [{"tick": 0, "town": 0, "type": "shower_complete"}])
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert [event["type"] for event in load_events(path)] == ["shower_complete"]


@pytest.mark.parametrize(
    "name", ["scenario.yaml", "manifest.json", "manifest.yaml", "rules.yaml", "config.yaml"]
)
def test_utf_16_is_refused_in_every_format(tmp_path, name):
    data, read = READERS[name]
    (tmp_path / name).write_bytes(data.decode().encode("utf-16"))
    with pytest.raises(InputError, match=name):
        read(tmp_path / name)
