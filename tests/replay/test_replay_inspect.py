"""inspect describes data of any form in one pass, on a terminal of any width, or as a page."""

import json
import os
import re
import subprocess
import sys

import pytest
from replay_samples import make_sample

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay import manifest as manifests
from townlet_core.replay import sample as samples_module
from townlet_core.replay.find import find_entries
from townlet_core.replay.inspect import describe_dataset, describe_path
from townlet_core.replay.manifest import load_manifest, save_manifest
from townlet_core.replay.packed.pack import pack
from townlet_core.replay.page import dataset_page
from townlet_core.replay.sample import save_sample
from townlet_core.scenario.load import load_scenario


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    scenario = load_scenario("queue_conflict")
    folder = tmp_path_factory.mktemp("inspected") / "capture"
    settings = CaptureSettings(ticks=20, num_towns=2, seed=7)
    return write_capture(scenario, ScriptedPolicy(scenario), settings, folder).manifest


@pytest.fixture(scope="module")
def packed(capture):
    return pack(load_manifest(capture), capture.parent.with_name("packed")).manifest


def townlet(*arguments, columns=80):
    command = [sys.executable, "-m", "townlet_cli", "replay", "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": str(columns)})


def test_packed_data_is_described_as_its_npz_files_are(capture, packed):
    npz, arrow = describe_path(capture), describe_path(packed)
    for key in (
        "statistics",
        "transitions",
        "map_shape",
        "feature_count",
        "action_dim",
        "warnings",
        "quarrels",
    ):
        assert npz[key] == arrow[key], key
    assert npz["samples"][1]["metrics"] == arrow["samples"][1]["metrics"]
    assert npz["bytes"] > 5 * arrow["bytes"] > 0


def test_a_shard_is_described_without_a_manifest(packed):
    [shard] = packed.parent.glob("*_00001.arrow")
    found = describe_path(shard)
    assert found["kind"] == "shard"
    assert found["statistics"] == describe_path(packed)["statistics"]
    assert found["quarrels"][0]["text"] in ("anna", "ben", "cara")  # from the arrays: it has no event log


def test_every_sample_is_read_once(capture, monkeypatch):
    read = []
    examine = samples_module.examine_sample
    monkeypatch.setattr(manifests, "examine_sample", lambda *given: read.append(given[0]) or examine(*given))
    entries = find_entries(capture)
    found = describe_dataset(capture, entries, features=True)
    assert read == [entry.sample for entry in entries]
    assert found["features"]["count"] == found["transitions"] == 120


def test_a_large_dataset_is_listed_in_part(tmp_path):
    entries = [save_sample(make_sample(1, seed=seed), tmp_path, f"s_{seed:02d}") for seed in range(23)]
    path = save_manifest(tmp_path, "s", entries, {})
    shown = townlet(path).stdout
    assert "s_19.npz" in shown
    assert "s_20.npz" not in shown
    assert "… and 3 more samples" in shown


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_tables_fit_the_terminal(capture, columns):
    shown = townlet(capture, columns=columns)
    assert shown.returncode == 0
    tables = shown.stdout.split("Samples", 1)[1]
    assert max(len(line.rstrip()) for line in tables.splitlines()) <= columns
    for part in ("Per transition", "rivalry", "█", "Strongest", "return"):
        assert part in tables


def test_warnings_that_samples_share_are_told_once(captures):
    found = describe_path(captures / "queue_conflict")
    assert sum("schema_version is missing" in warning for warning in found["warnings"]) == 1
    assert any(warning.endswith("(and 2 more files)") for warning in found["warnings"])


def test_the_page_links_to_the_players_beside_it(capture, tmp_path):
    target = tmp_path / "cards" / "card.html"
    shown = townlet(capture, "--format", "html", "-o", target)
    assert shown.returncode == 0
    page = target.read_text()
    assert "townlet replay render ../" in page
    assert "<a href" not in page
    assert townlet(capture, "--format", "html", "-o", target).returncode == 2
    assert townlet(capture, "--format", "html", "-o", target, "--player", "--force").returncode == 0
    links = re.findall(
        r'<a href="([^"#]+)#tick=(\d+)">town (\d), episode 0, tick (\d+)</a>', target.read_text()
    )
    assert len(links) == len(describe_path(capture)["quarrels"])
    for name, shown_tick, town, tick in links:
        assert name == f"rollout_sample_town{town}_episode0.html"
        assert int(shown_tick) == int(tick) + 1  # the state after the tick
        assert (target.parent / name).is_file()
    assert "townlet replay render" not in target.read_text()


def test_the_page_needs_nothing_else_and_shows_text_as_text(capture):
    found = describe_path(capture)
    found["statistics"]["agents"]["<script>alert(1)</script>"] = found["statistics"]["agents"].pop("anna")
    found["statistics"]["origin"]["scenario"] = {'"><img src=x>\x1b': 6}
    found["quarrels"][0]["text"] = "<b>ben"
    page = dataset_page(found, lambda quarrel: 'x"onclick=".html').decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>ben" not in page
    assert "\x1b" not in page
    assert 'href="x&quot;onclick=&quot;.html' in page
    assert not re.search(r"(src|href)\s*=\s*\"?(https?:)?//", page)
    assert "default-src 'none'" in page
    assert page.count("<svg") == page.count('role="img"') > 90


@pytest.mark.parametrize(
    "arguments", [("--json", "--format", "html"), ("--output", "x.html"), ("--player",), ("--force",)]
)
def test_options_of_the_page_need_the_page(capture, arguments):
    refused = townlet(capture, *arguments)
    assert refused.returncode == 2
    assert "hint: " in refused.stderr


def test_a_page_is_of_a_dataset(capture):
    refused = townlet(capture.parent / "rollout_sample_anna_001.npz", "--format", "html")
    assert refused.returncode == 2
    assert "is one sample" in refused.stderr


def test_json_holds_the_statistics(capture):
    found = json.loads(townlet(capture, "--json").stdout)
    assert found["statistics"]["counts"]["transitions"] == found["transitions"]
    assert found["quarrels"][0]["tick"] >= 0
