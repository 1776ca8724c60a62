"""The examples of docs/exchange.md run in order, and its tables list what the code has."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from townlet_cli.main import run
from townlet_core.exchange.columns import EPISODE
from townlet_core.exchange.huggingface import LEROBOT
from townlet_core.exchange.mapping import load_mapping

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "exchange.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the examples have defined, after all of them ran in one empty folder."""
    folder, defined = tmp_path_factory.mktemp("page"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for language, body in BLOCKS:
            if language == "python" and (find_spec("d3rlpy") or "# d3rlpy" not in body):
                exec(body, defined)
            elif language == "yaml":
                Path("mapping.yaml").write_text(body)
            else:
                run_commands(body, patch)
    return defined | {"folder": folder}


def run_commands(body, patch):
    for line in body.splitlines():
        if line.startswith("townlet "):
            patch.setattr("sys.argv", shlex.split(line, comments=True))
            with pytest.raises(SystemExit) as left:
                run()
            assert left.value.code == 0, line


def test_the_exports_hold_all_ticks(names):
    assert names["ticks"].height == names["rows"].num_rows == 10 * 3 * 80
    assert names["dataset"].total_episodes == len(names["episodes"]) == 30


def test_cloning_beats_always_the_same_action(names):
    losses = [loss.item() for loss in names["losses"]]
    assert losses[-1] < 0.7 * losses[0]
    correct = total = 0
    counts = {}
    for batch in names["batches"].dataset.batches(0):
        scores = names["network"](names["torch"].from_numpy(batch.features)).detach().numpy()
        scores[~batch.action_mask] = -1e9
        correct += (scores.argmax(axis=-1) == batch.actions).sum()
        total += batch.actions.size
        for action in batch.actions.reshape(-1).tolist():
            counts[action] = counts.get(action, 0) + 1
    assert correct / total > max(counts.values()) / total + 0.1


def test_the_folder_of_parquet_files_loads_as_two_datasets_of_the_hub(names, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    load, folder = names["datasets"].load_dataset, str(names["folder"] / "exports" / "parquet")
    assert load(folder, cache_dir=tmp_path)["train"].num_rows == names["ticks"].height
    assert load(folder, "episodes", cache_dir=tmp_path)["train"].num_rows == 30


def test_minari_finds_the_dataset_by_the_id_on_the_page(names, monkeypatch):
    (found,) = re.findall(r'minari\.load_dataset\("(.*?)"\)', PAGE)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(names["folder"] / "exports"))
    assert names["minari"].load_dataset(found).total_episodes == 30


def test_the_tables_list_the_columns(names):
    listed = set(re.findall(r"`([\w.]+)`", PAGE))
    assert set(names["ticks"].columns) - {"dones", "rewards"} <= listed
    assert set(EPISODE) <= listed
    assert set(names["rows"].column_names) <= listed
    assert {f"| `{column}` | `{name}`" in PAGE or column in listed for name, column in LEROBOT.items()} == {
        True
    }


def test_the_keys_of_a_mapping_are_those_of_the_table(names):
    section = PAGE.split("| key |")[1].split("\n\n")[0]
    keys = {key.partition(".")[0] for row in section.splitlines() for key in re.findall(r"^\| (.*?) \|", row)}
    told = {key.strip("`").partition(".")[0] for cell in keys for key in cell.split(", ")} - {"---"}
    mapping = load_mapping(names["folder"] / "mapping.yaml")
    assert told == {*vars(mapping)} - {"data"}
