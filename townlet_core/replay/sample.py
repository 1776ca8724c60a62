"""One replay sample: observations, actions and rewards of one agent, as NPZ + JSON (docs/data.md, Sample)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core import io
from townlet_core.errors import InputError, SampleError, shown
from townlet_core.replay.checks import check_sample
from townlet_core.replay.format import ARRAYS, TRAINING_ARRAYS, Finding, problems, warnings
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.metadata import canonical_metadata, reward_terms_of
from townlet_core.replay.npz import RESTORE, list_members, pack_npz, read_array

_FOREIGN = {"timeouts": "truncations", "terminals": "terminations"}  # names in other formats, and ours
_STEM_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True, eq=False)
class ReplaySample:
    """T ticks of one agent, time-major. Arrays that were loaded are read-only."""

    map: np.ndarray  # (T, C, H, W) float32
    features: np.ndarray  # (T, F) float32
    actions: np.ndarray  # (T,) int64
    old_log_probs: np.ndarray  # (T,) float32, under the policy that acted
    value_preds: np.ndarray  # (T + 1,) float32, the last one bootstraps
    rewards: np.ndarray  # (T,) float32
    dones: np.ndarray  # (T,) bool, terminated or truncated
    optional: dict[str, np.ndarray] = field(default_factory=dict)  # a subset of format.OPTIONAL_ARRAYS
    metadata: dict[str, Any] = field(default_factory=dict)  # the JSON, see sample_metadata

    @property
    def timesteps(self) -> int:
        """The number of ticks in the sample."""
        return len(self.actions)

    @property
    def map_shape(self) -> tuple[int, ...]:
        """C, H and W."""
        return self.map.shape[1:]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the feature columns, in order."""
        return tuple(self.metadata["feature_names"])

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """Names of the columns of the optional array `reward_terms`; empty without it."""
        return reward_terms_of(self.metadata) if "reward_terms" in self.optional else ()

    @property
    def agent_id(self) -> str:
        """The agent's name; samples of the older generation may have only a `sample_id`, or neither."""
        return self.metadata.get("agent_id") or self.metadata.get("sample_id") or "unknown"

    @property
    def action_ids(self) -> int:
        """The largest id in the actions, plus 1."""
        return int(self.actions.max()) + 1

    @property
    def action_dim(self) -> int:
        """The size of the sample's own vocabulary."""
        return self.metadata.get("action_dim") or self.action_ids

    @property
    def is_older(self) -> bool:
        """Whether it has no schema version, and action ids of its own."""
        return "schema_version" not in self.metadata

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, in the order of the file."""
        training = {name: getattr(self, name) for name in TRAINING_ARRAYS}
        return training | {name: self.optional[name] for name in ARRAYS if name in self.optional}


def save_sample(sample: ReplaySample, folder: Path, stem: str, compress: bool = False) -> dict[str, Any]:
    """Write `stem.json`, then `stem.npz`, and return the sample's manifest entry.

    The JSON is written first, so that arrays never exist without it, even if the writer is killed. Equal
    samples give equal bytes (with the same zlib if compressed). Raises SampleError, and writes nothing, for
    an invalid sample (docs/data.md).
    """
    _, data, meta_data = pack_sample(sample, stem, compress)
    return save_original(data, meta_data, sample, folder, f"{stem}.npz")


def pack_sample(
    sample: ReplaySample, stem: str, compress: bool = False
) -> tuple[dict[str, Any], bytes, bytes]:
    """Return the manifest entry of a sample and the content of `stem.npz` and `stem.json`.

    Raises SampleError for an invalid sample.
    """
    if not _STEM_PATTERN.fullmatch(stem):
        raise InputError(f"sample name {shown(stem)}: expected 1 to 200 letters, digits, '_', '.' or '-'")
    sample_file, meta_file = f"{stem}.npz", f"{stem}.json"
    raise_first(check_sample(sample.arrays(), sample.metadata, sample_file, meta_file))
    data, meta_data = pack_npz(sample.arrays(), compress), io.dump_json(canonical_metadata(sample.metadata))
    return _entry(data, meta_data, sample, sample_file), data, meta_data


def save_original(
    data: bytes, meta_data: bytes, sample: ReplaySample, folder: Path, sample_file: str
) -> dict[str, Any]:
    """Write the two files of a sample as they are, the JSON first, and return the sample's manifest entry.

    sample: what the files hold. sample_file: the name of the NPZ; the JSON has the same stem.
    """
    meta_file = f"{sample_file.removesuffix('.npz')}.json"
    io.write_file(Path(folder) / meta_file, meta_data)
    io.write_file(Path(folder) / sample_file, data)
    return _entry(data, meta_data, sample, sample_file)


def _entry(data: bytes, meta_data: bytes, sample: ReplaySample, sample_file: str) -> dict[str, Any]:
    meta_file = f"{sample_file.removesuffix('.npz')}.json"
    return {
        "sample": sample_file,
        "meta": meta_file,
        "agent_id": sample.agent_id,
        "frame_count": sample.timesteps,
        "sha256": io.sha256(data),
        "bytes": len(data),
        "meta_sha256": io.sha256(meta_data),
        "meta_bytes": len(meta_data),
    }


def load_sample(
    path: Path, meta: Path | None = None, limits: ReadLimits = DEFAULT_LIMITS, sha256: str | None = None
) -> tuple[ReplaySample, list[str]]:
    """Read and validate a sample; return it with the warnings about it.

    meta: the JSON, by default with the same stem. sha256: the digest in the manifest.
    Raises SampleError for the first problem, MissingError, or DiskError.
    """
    sample, findings = examine_sample(path, meta, limits, sha256)
    raise_first(findings)
    assert sample is not None  # without problems there is a sample
    return sample, [str(finding) for finding in warnings(findings)]


def raise_first(findings: list[Finding]) -> None:
    """Raise SampleError for the first problem among the findings."""
    broken = problems(findings)
    if broken:
        more = f" (and {len(broken) - 1} more, see `townlet replay validate`)" if len(broken) > 1 else ""
        raise SampleError(f"{broken[0]}{more}", broken[0].hint)


def examine_sample(
    path: Path, meta: Path | None = None, limits: ReadLimits = DEFAULT_LIMITS, sha256: str | None = None
) -> tuple[ReplaySample | None, list[Finding]]:
    """Read a sample and collect every finding; the sample is None if there is a problem.

    Raises TownletError only if nothing can be checked: no file, no zip, wrong digest.
    """
    path = Path(path)
    data = _read_bytes(path, limits)
    if sha256 is not None and io.sha256(data) != sha256:
        raise SampleError(f"{path}: its sha256 is not the one in the manifest; the file has changed", RESTORE)
    verify = sha256 is None  # the digest is stronger than the zip checksums, and was compared
    arrays, findings = _read_arrays(data, str(path), limits, verify)
    missing = [name for name in TRAINING_ARRAYS if name not in arrays]
    if missing and not problems(findings):
        sentence = f"has no {', '.join(missing)}; expected {', '.join(TRAINING_ARRAYS)}"
        findings.append(Finding("problem", str(path), "", sentence, "capture it with `townlet capture`"))
    if missing:
        return None, findings
    meta = Path(meta) if meta else path.with_suffix(".json")
    metadata = io.read_json(meta, limits.max_metadata_bytes)
    findings += check_sample(arrays, metadata, str(path), str(meta), limits)
    if problems(findings):
        return None, findings
    return _assemble(arrays, metadata), findings


def reload_sample(path: Path, metadata: dict[str, Any], limits: ReadLimits = DEFAULT_LIMITS) -> ReplaySample:
    """Read again a sample that load_sample has accepted, without validating it again."""
    data = _read_bytes(Path(path), limits)
    members = list_members(data, str(path), limits)
    arrays = {
        name: read_array(data, members[name], str(path), verify=False) for name in ARRAYS if name in members
    }
    return _assemble(arrays, metadata)


def _read_bytes(path: Path, limits: ReadLimits) -> bytes:
    if io.kind_of(path) not in ("file", None):
        raise InputError(f"{path}: is not a file, expected an NPZ sample")
    return io.read_file(path, limits.max_sample_bytes)


def _read_arrays(
    data: bytes, file: str, limits: ReadLimits, verify: bool
) -> tuple[dict[str, np.ndarray], list[Finding]]:
    """Read the known arrays; a damaged array is a problem, an unknown one a warning."""
    arrays: dict[str, np.ndarray] = {}
    findings: list[Finding] = []
    members = list_members(data, file, limits)
    for member in members.values():
        ours = _FOREIGN.get(member.name)
        if ours and ours not in members:  # ignoring it would join separate episodes
            message = f"is called {ours} here, and says where episodes end"
            hint = f"rename it to {ours}, and let dones be true where either terminations or truncations are"
            findings.append(Finding("problem", file, member.name, message, hint))
        elif member.name not in ARRAYS:
            findings.append(Finding("warning", file, member.name, "is not an array of ours; ignored"))
        else:
            try:
                arrays[member.name] = read_array(data, member, file, verify)
            except SampleError as error:
                sentence = str(error).removeprefix(f"{file}: {member.name} ")
                findings.append(Finding("problem", file, member.name, sentence, error.hint))
    return arrays, findings


def _assemble(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> ReplaySample:
    training = {name: arrays[name] for name in TRAINING_ARRAYS}
    optional = {name: array for name, array in arrays.items() if name not in TRAINING_ARRAYS}
    return ReplaySample(**training, optional=optional, metadata=metadata)
