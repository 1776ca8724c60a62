"""Compare samples of one dataset: shapes, names, vocabulary, reward terms and scenarios."""

from __future__ import annotations

from typing import Any, NamedTuple

from townlet_core.errors import SampleError, name_difference
from townlet_core.replay.sample import ReplaySample
from townlet_core.vocab import CONFLICT_FEATURES

_APART = "train on them separately, or capture both again"


class SharedFacts(NamedTuple):
    """What is compared, of samples that have it in common and are not read; as in ReplaySample."""

    map_shape: tuple[int, ...]
    feature_names: tuple[str, ...]
    reward_terms: tuple[str, ...]
    action_dim: int
    action_ids: int
    is_older: bool
    metadata: dict[str, Any]


class CompatibilityCheck:
    """Compare each sample with the first one; keeps shapes and names, not the samples."""

    def __init__(self) -> None:
        self.name = ""  # of the first sample; empty before the first
        self.map_shape: tuple[int, ...] = (0, 0, 0)
        self.map_channels: Any = None
        self.feature_names: tuple[str, ...] = ()
        self.is_older = False
        self.action_dim = 0  # older samples: largest id + 1 so far
        self.lookup: Any = None
        self.other_lookup = ""  # the first older sample whose lookup differs
        self.terms: tuple[str, tuple[str, ...]] = (
            "",
            (),
        )  # the first sample with reward terms, and their names
        self.other_terms = ""  # the first difference from these
        self.scenarios: dict[str, tuple[str, str]] = {}  # by digest: the scenario's name, the first sample

    def add(self, name: str, sample: ReplaySample | SharedFacts) -> None:
        """Compare a sample with the first one. Raises SampleError naming both if they are incompatible."""
        if not self.name:
            self.name = name
            self.map_shape = sample.map_shape
            self.map_channels = sample.metadata.get("map_channels")
            self.feature_names = sample.feature_names
            self.is_older = sample.is_older
            self.action_dim = 0 if sample.is_older else sample.action_dim
            self.lookup = sample.metadata.get("action_lookup")
        self._compare(name, "map shape", self.map_shape, sample.map_shape)
        self._compare(name, "map channels", self.map_channels, sample.metadata.get("map_channels"))
        self._compare_features(name, sample.feature_names)
        self._compare_vocabulary(name, sample)
        self._note_terms(name, sample.reward_terms)
        capture = sample.metadata.get("capture")
        if isinstance(capture, dict) and isinstance(capture.get("scenario_sha256"), str):
            self.add_scenario(capture["scenario_sha256"], str(capture.get("scenario")), name)

    def add_scenario(self, digest: str, scenario: str, name: str) -> None:
        """Note the scenario of a sample."""
        self.scenarios.setdefault(digest, (scenario[:64], name))

    def warnings(self) -> tuple[str, ...]:
        """Return warnings about action ids, reward terms and scenarios that may differ in meaning."""
        return (*self._warn_of_vocabulary(), *self.reward_warnings())

    def reward_warnings(self) -> tuple[str, ...]:
        """Return warnings about rewards with different terms, or from different scenarios."""
        return (*filter(None, [self.other_terms]), *self._warn_of_scenarios())

    def _warn_of_scenarios(self) -> tuple[str, ...]:
        if len(self.scenarios) < 2:
            return ()
        (digest, (scenario, first)), (other, (another, second)), *more = self.scenarios.items()
        rest = f", and {len(more)} more of yet others" if more else ""
        return (
            f"{first} was recorded in {spell_scenario(scenario, digest)} and {second} in "
            f"{spell_scenario(another, other)}{rest}: scenarios that differ may reward the same differently",
        )

    def _warn_of_vocabulary(self) -> tuple[str, ...]:
        if not self.is_older:
            return ()
        detail = (
            f", and {self.name} and {self.other_lookup} name them differently" if self.other_lookup else ""
        )
        return (
            f"{self.name}: has no schema version; its action ids and those of the samples with it are taken "
            f"as one vocabulary of {self.action_dim}, though an id may mean different things in them{detail}",
        )

    def _compare(self, name: str, what: str, first: Any, other: Any) -> None:
        if first != other:
            self._refuse(name, f"{what} {first} in the first, {other} in the second")

    def _refuse(self, name: str, facts: str) -> None:
        raise SampleError(f"{self.name} and {name} do not fit together: {facts}", _APART)

    def _compare_features(self, name: str, features: tuple[str, ...]) -> None:
        if features != self.feature_names:
            difference = name_difference(self.feature_names, features)
            self._refuse(name, f"features: {difference}")

    def _note_terms(self, name: str, terms: tuple[str, ...]) -> None:
        """Note the first difference of reward terms; samples without reward terms are not compared."""
        first, own = self.terms
        if terms and not own:
            self.terms = (name, terms)
        elif terms and set(terms) != set(own) and not self.other_terms:
            self.other_terms = (
                f"{first} and {name} have different reward terms ({name_difference(own, terms)}): the same "
                "reward may not mean the same in both"
            )

    def _compare_vocabulary(self, name: str, sample: ReplaySample | SharedFacts) -> None:
        generations = ("2", "1, with action ids of its own")
        self._compare(name, "generation", generations[self.is_older], generations[sample.is_older])
        if not sample.is_older:
            self._compare(name, "action vocabulary", self.action_dim, sample.action_dim)
            return
        self.action_dim = max(self.action_dim, sample.action_ids)
        if sample.metadata.get("action_lookup") != self.lookup and not self.other_lookup:
            self.other_lookup = name


def spell_scenario(name: str, digest: str) -> str:
    """Return the scenario's name with the start of its digest."""
    return f"{name} (sha256 {digest[:12]})"


def check_conflict_features(feature_names: tuple[str, ...]) -> None:
    """Raise SampleError if a conflict feature is missing."""
    absent = [name for name in CONFLICT_FEATURES if name not in feature_names]
    if absent:
        raise SampleError(
            f"the samples have no feature {' or '.join(absent)}, so conflict cannot be learned from them",
            "capture them again with `townlet capture`",
        )
