"""The card of a dataset: a Markdown page with the YAML head that Hugging Face reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from townlet_core import io
from townlet_core.errors import InputError, count, printable, shown
from townlet_core.replay.manifest import Manifest, companion

_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")  # Hugging Face's categories
_LICENSE = re.compile(r"[a-z0-9.-]{1,40}")
_LOADING = {
    "npz": """from pathlib import Path
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig

[manifest] = Path(".").glob("*_manifest.json")
dataset = ReplayDataset(ReplayDatasetConfig(manifests=(manifest,)))""",
    "arrow": """import glob
import polars

rows = polars.read_ipc(sorted(glob.glob("*[0-9].arrow")))""",
    "parquet": """import pandas

rows = pandas.read_parquet("data")""",
    "huggingface": """import datasets

rows = datasets.load_from_disk(".")""",
    "minari": """from minari.dataset.minari_dataset import MinariDataset

dataset = MinariDataset("data")""",
}
FORMS = tuple(_LOADING)
_COLUMNS = {
    "map": "egocentric map, north up, one plane per channel",
    "features": "feature vector: the agent's own state and that of others",
    "actions": "id of the action that the agent chose on this observation",
    "old_log_probs": "log-probability of the action under the policy that acted",
    "value_preds": "value of the observation according to the critic; 0 without one",
    "rewards": "reward of the tick",
    "dones": "the episode ended: terminated or truncated",
    "terminations": "the episode terminated for the agent",
    "truncations": "the time limit ended the episode",
    "action_mask": "possible actions",
    "conflict_events": "the agent's share of the tick's queue conflicts, one half for each of two parties",
    "conflict_intensity": "its share of their intensity",
    "reward_terms": "the reward by term",
}


def dataset_card(
    title: str, metadata: dict[str, Any], statistics: dict[str, Any], forms: Sequence[str]
) -> str:
    """Return the card: what was recorded, who acted, its origin, its columns, how to load it, its limits.

    metadata: the manifest's; its `license` is that of the data, `unknown` if it is missing. statistics: of
    DatasetStatistics.as_dict. forms: the forms of the data, of FORMS; each gets its way to load it.
    Raises InputError for another form.
    """
    if unknown := [form for form in forms if form not in _LOADING]:
        raise InputError(f"form {shown(unknown[0])}: expected {', '.join(FORMS)}")
    counts = statistics["counts"]
    size = f"{count(counts['transitions'], 'transition')} in {count(counts['episodes'], 'episode')}"
    agents = count(len(statistics["agents"]), "agent")
    sections = {
        "Origin": _origin(statistics),
        "Contents": _contents(statistics),
        "Columns": _table(("column", "meaning"), ((f"`{name}`", text) for name, text in _COLUMNS.items())),
        "Statistics": _statistics(statistics),
        "How to load it": "\n\n".join(f"{form}:\n\n```python\n{_LOADING[form]}\n```" for form in forms),
        "Known limits": "\n".join(f"- {limit}" for limit in _limits(statistics)),
    }
    return "\n\n".join(
        [
            _head(title, metadata, counts["transitions"]),
            f"# {_text(title)}",
            f"Episodes of Townlet, a small town of learning agents: {size}, of {agents}.",
            *(f"## {name}\n\n{content}" for name, content in sections.items()),
            "",
        ]
    )


def card_path(manifest: Manifest) -> Path:
    """Return the path of the card of a capture, `<prefix>_card.md`."""
    return companion(manifest.path, "card.md")


def save_card(manifest: Manifest, statistics: dict[str, Any], force: bool = False) -> Path:
    """Write the card of a capture beside its manifest, and return its path.

    Raises InputError if there is one already, without `force`; DiskError.
    """
    path = card_path(manifest)
    io.refuse_existing(path, force)
    scenarios = ", ".join(statistics["origin"].get("scenario", ())) or "replay data"
    forms = ["arrow" if manifest.shards else "npz"]
    card = dataset_card(f"Townlet: {scenarios}", manifest.metadata, statistics, forms)
    io.write_file(path, card.encode("utf-8", "backslashreplace"))
    return path


def _head(title: str, metadata: dict[str, Any], transitions: int) -> str:
    """Return the YAML head. JSON texts are YAML texts."""
    said = metadata.get("license")
    data_license = said if isinstance(said, str) and _LICENSE.fullmatch(said) else "unknown"
    lines = (
        f"pretty_name: {json.dumps(printable(title))}",
        f"license: {json.dumps(data_license)}",
        "task_categories:\n- reinforcement-learning",
        "tags:\n- reinforcement-learning\n- offline-rl\n- multi-agent\n- townlet",
        f"size_categories:\n- {_size_category(transitions)}",
    )
    return "\n".join(("---", *lines, "---"))


def _size_category(rows: int) -> str:
    """Return Hugging Face's category for a number of rows: n<1K, 1K<n<10K, … n>1T."""
    for i, bound in enumerate(_SIZES):
        if rows < 1000 * 10**i:
            return f"{_SIZES[i - 1]}<n<{bound}" if i else f"n<{bound}"
    return f"n>{_SIZES[-1]}"


def _origin(statistics: dict[str, Any]) -> str:
    """Say where the samples come from, by fact; how many of them, where there is more than one origin."""
    rows = [("sha256 of the samples", f"`{statistics['samples_sha256']}`")]
    for fact, values in statistics["origin"].items():
        many = ", ".join(f"{_text(value)} ({count(n, 'sample')})" for value, n in values.items())
        rows.append((_NAMES.get(fact, fact), many if len(values) > 1 else _text(next(iter(values)))))
    return _table(("", ""), rows)


_NAMES = {"behaviour": "policy", "value_source": "critic", "townlet": "Townlet", "schema_version": "schema"}


def _contents(statistics: dict[str, Any]) -> str:
    actions = list(statistics["actions"])
    rows = (
        (
            f"`{_code(agent)}`",
            f"{about['samples']:,}",
            f"{about['transitions']:,}",
            f"{about['reward_sum']:.4g}",
            *(f"{about['actions'].get(action, 0):,}" for action in actions),
        )
        for agent, about in statistics["agents"].items()
    )
    counts = statistics["counts"]
    ends = ", ".join(f"{counts[end]:,} {end}" for end in ("terminated", "truncated", "unfinished"))
    return f"Episodes: {ends}.\n\n" + _table(
        ("agent", "samples", "transitions", "reward", *map(_text, actions)), rows
    )


def _statistics(statistics: dict[str, Any]) -> str:
    """Tabulate mean, deviation and range of every column."""
    rows = (
        (f"`{_code(name)}`", *(f"{found[key]:.4g}" for key in ("mean", "std", "min", "max")))
        for group in ("arrays", "episodes", "reward_terms", "features")
        for name, found in statistics[group].items()
    )
    return _table(("", "mean", "std", "min", "max"), rows)


def _limits(statistics: dict[str, Any]) -> Iterator[str]:
    counts, origin = statistics["counts"], statistics["origin"]
    yield "Observations are one agent's: a sample does not hold the state of the town."
    if set(origin.get("value_source", {"none": 1})) == {"none"}:
        yield "No critic scored the observations: `value_preds` are not values of the policy that acted."
    if set(origin.get("behaviour", ())) == {"scripted"}:
        yield "A script acted, with few random actions: most states of other policies are missing."
    if counts["unfinished"]:
        yield f"{count(counts['unfinished'], 'episode')} stopped before an end: what followed is unknown."
    if not origin:
        yield "Action ids are the samples' own: an id may mean different things in different samples."


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _text(text: object) -> str:
    """Escape untrusted text for Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", printable(str(text)))


def _code(text: object) -> str:
    """Escape untrusted text between backticks, in a table."""
    return printable(str(text)).replace("`", "'").replace("|", "\\|")
