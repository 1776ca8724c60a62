"""Read the plan of a study: YAML, with every mistake at its line; and the jobs that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from townlet_core import io
from townlet_core.capture.rollout import SCRIPTS
from townlet_core.errors import InputError, MissingError, ScenarioError, SettingsError, count
from townlet_core.inputs import GZIP, read_input
from townlet_core.scenario.catalogue import SUFFIXES
from townlet_core.scenario.load import load_scenario, scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.scenario.repair import unknown_key
from townlet_core.scenario.type_text import show
from townlet_core.scenario.values import Name
from townlet_core.training.config_file import Written, read_tree
from townlet_core.training.recordings import recordings_sha256
from townlet_core.training.seed_list import parse_numbers
from townlet_core.training.settings import SCHEMA, TrainingSettings, config_yaml, with_absolute_paths
from townlet_core.training.wording import wanted, wrong_value
from townlet_core.yaml.tree import Mistake, Node, parse_bytes, path_text

MAX_PLAN_BYTES = 512 << 10
MAX_JOBS = 10_000
MAX_MISTAKES = 20  # shown
KEYS = ["name", "scenarios", "seeds", "settings", "methods", "evaluate", "output"]
EVALUATE = {
    "episodes": Annotated[int, Field(ge=2, le=100_000)],
    "seed": Annotated[int, Field(ge=0, lt=2**63)],
    "deterministic": bool,
}
Seed = Annotated[int, Field(ge=0, lt=2**63)]
# Settings that the study gives to each job, and places that several jobs cannot share.
GIVEN = ("scenario", "seed", "ppo_log", "capture_dir")
# Where input lies, which differs between machines; its content is compared by digest.
PLACES = ("scenario", "replay_manifest", "replay_sample")


class Job(NamedTuple):
    """One training run and its evaluation, or the evaluation of a script."""

    number: int  # from 1, in the order of the plan
    scenario: Scenario
    method: str  # a name of `methods`, or one of `against`
    seed: int | None  # None for a script
    settings: TrainingSettings | None  # None for a script
    folder: Path
    episodes: int
    evaluation_seed: int
    deterministic: bool
    identity: dict[str, Any]  # what decides its result, apart from versions; JSON

    @property
    def text(self) -> str:
        """Name the job for people."""
        seed = "" if self.seed is None else f" seed {self.seed}"
        return f"{self.scenario.name} {self.method}{seed}"


class Plan(NamedTuple):
    """A study: its name, the folder of its results, and its jobs in order."""

    name: str
    folder: Path
    episodes: int  # per evaluation
    jobs: list[Job]


def load_plan(path: str | Path) -> Plan:
    """Read a plan. Relative paths in it start from its own folder.

    Raises SettingsError listing every mistake with its line, ScenarioError for mistakes in a scenario,
    InputError or MissingError for recordings, MissingError or DiskError.
    """
    path = Path(path)
    root, mistakes = parse_bytes(read_input(path, MAX_PLAN_BYTES))
    reader = _Reader(path.parent, mistakes)
    if root is not None:
        reader.read(root)
    if reader.mistakes:
        lines = [mistake.text(str(path)) for mistake in sorted(set(reader.mistakes))]
        if len(lines) > MAX_MISTAKES:
            lines = [*lines[:MAX_MISTAKES], f"and {count(len(lines) - MAX_MISTAKES, 'more mistake')}"]
        raise SettingsError("\n".join(lines), "townlet docs studies describes plans")
    return reader.plan()


class _Reader:
    """Reads the tree of a plan; collects its mistakes."""

    def __init__(self, base: Path, mistakes: Sequence[Mistake]) -> None:
        self.base = base
        self.mistakes = list(mistakes)
        self.name = ""
        self.output: str | None = None
        self.scenarios: list[tuple[str, Scenario]] = []  # as load_scenario takes it, and loaded
        self.seeds: list[int] = []
        self.methods: dict[str, dict[str, Any]] = {}
        self.evaluate: dict[str, Any] = {"episodes": 100, "seed": 1000, "deterministic": False}
        self.against: list[str] = []

    def read(self, root: Node) -> None:
        """Read all keys."""
        if not isinstance(root.value, dict):
            self.wrong(root, "", f"found {show(root.plain())}, expected a block with {', '.join(KEYS)}")
            return
        self.known(root, KEYS, "")
        for key, words in (("name", "a name"), ("scenarios", "a list"), ("seeds", "seeds such as 0-4")):
            if key not in root.value:
                self.mistakes.append(Mistake(root.line, root.column, key, f"missing, expected {words}"))
        parts = {key: node for key, node in root.value.items() if key in KEYS}
        if "name" in parts:
            self.name = self.folder_name(parts["name"], "name")
        if "output" in parts:
            self.read_output(parts["output"])
        self.read_scenarios(parts.get("scenarios"))
        if "seeds" in parts:
            self.read_seeds(parts["seeds"])
        self.read_methods(parts.get("settings"), parts.get("methods"))
        if "evaluate" in parts:
            self.read_evaluate(parts["evaluate"])
        jobs = len(self.scenarios) * (len(self.methods) * len(self.seeds) + len(self.against))
        if jobs > MAX_JOBS:
            self.wrong(root, "", f"found {jobs:,} jobs, expected at most {MAX_JOBS:,}")

    def wrong(self, node: Node, path: str, message: str) -> None:
        """Note a mistake in a value."""
        self.mistakes.append(Mistake(node.line, node.column, path, message))

    def known(self, node: Node, keys: list[str], path: str) -> None:
        """Note the keys of a block that are none."""
        for key in node.value:
            if key not in keys:
                where = path_text((*filter(None, (path,)), key))
                self.mistakes.append(Mistake(*node.keys[key], where, unknown_key(key, keys)))

    def value(self, node: Node, path: str, annotation: Any) -> Any:
        """Return a value that fits an annotation; None, and a mistake, for any other."""
        try:
            return TypeAdapter(annotation).validate_python(node.plain(), strict=True)
        except ValidationError:
            self.wrong(node, path, f"found {show(node.plain())}, expected {wanted(annotation)}")
            return None

    def folder_name(self, node: Node, path: str) -> str:
        """Return a name that a folder can have."""
        name = self.value(node, path, Name) or ""
        if name.startswith("."):
            self.wrong(node, path, f"found {show(name)}, expected a name that does not begin with '.'")
        return name

    def entries(self, node: Node, path: str) -> list[tuple[Node, str]]:
        """Return the entries of a list that is not empty, each with its path."""
        if not isinstance(node.value, list) or not node.value:
            self.wrong(node, path, f"found {show(node.plain())}, expected a list")
            return []
        return [(entry, f"{path}[{number}]") for number, entry in enumerate(node.value)]

    def read_output(self, node: Node) -> None:
        """Read the folder of the study."""
        self.output = self.value(node, "output", str)
        try:
            io.refuse_address(self.output or "")
        except InputError as error:
            self.wrong(node, "output", str(error))

    def read_scenarios(self, node: Node | None) -> None:
        """Load the scenarios: bundled names, or files."""
        names = set[str]()
        for entry, path in self.entries(node, "scenarios") if node else ():
            source = self.value(entry, path, str)
            if source is None:
                continue
            place = self.base / source
            is_file = Path(source).suffix in (*SUFFIXES, GZIP) or len(Path(source).parts) > 1
            where = str(place) if is_file or io.kind_of(place) == "file" else source
            try:
                if where == "-":
                    raise InputError("found '-', expected a name or a file")
                scenario = load_scenario(where)
            except ScenarioError:
                raise
            except (InputError, MissingError) as error:
                self.wrong(entry, path, str(error))
                continue
            if not scenario.agents:
                self.wrong(entry, path, f"{scenario.name} has no agents to train")
            elif scenario.name.startswith("."):
                self.wrong(entry, path, f"{scenario.name} cannot name a folder: it begins with '.'")
            elif scenario.name in names:
                self.wrong(entry, path, f"a scenario called {scenario.name} is in the list already")
            names.add(scenario.name)
            self.scenarios.append((where, scenario))

    def read_seeds(self, node: Node) -> None:
        """Read `0-4`, `0,3,7-9`, one seed, or a list of seeds."""
        if isinstance(node.value, str):
            try:
                self.seeds = parse_numbers(node.value, "seed", MAX_JOBS)
            except InputError as error:
                self.wrong(node, "seeds", str(error))
                return
        elif isinstance(node.value, list):
            found = [self.value(entry, path, Seed) for entry, path in self.entries(node, "seeds")]
            self.seeds = [seed for seed in found if seed is not None]
        else:
            seed = self.value(node, "seeds", Seed)
            self.seeds = [] if seed is None else [seed]
        if len(set(self.seeds)) < len(self.seeds):
            self.wrong(node, "seeds", "a seed is here twice")

    def read_methods(self, settings: Node | None, methods: Node | None) -> None:
        """Read the settings of each method: its own, over those that all share."""
        base = self.settings(settings, "settings") if settings else {}
        if methods is None:
            self.methods = {"base": base}
            return
        if not isinstance(methods.value, dict) or not methods.value:
            self.wrong(methods, "methods", f"found {show(methods.plain())}, expected a block of methods")
            return
        for name, node in methods.value.items():
            path = path_text(("methods", name))
            self.folder_name(Node(name, *methods.keys[name]), path)
            if name in SCRIPTS:
                self.mistakes.append(Mistake(*methods.keys[name], path, f"{name} is the name of a script"))
            self.methods[name] = {**base, **self.settings(node, path)}

    def settings(self, node: Node, path: str) -> dict[str, Any]:
        """Read sections `training:` and `ppo:`."""
        written = read_tree(node, [], SCHEMA) if node.value is not None else Written({}, {}, [])
        self.mistakes += [
            mistake._replace(path=f"{path}.{mistake.path}" if mistake.path else path)
            for mistake in written.mistakes
        ]
        for name in GIVEN:
            section = node.child("training")
            if section and name in section.keys:
                message = f"{name} is different for each job, leave it out"
                self.mistakes.append(Mistake(*section.keys[name], f"{path}.training.{name}", message))
        return written.values

    def read_evaluate(self, node: Node) -> None:
        """Read how policies are evaluated, and against which scripts."""
        if not isinstance(node.value, dict):
            self.wrong(node, "evaluate", f"found {show(node.plain())}, expected a block of keys")
            return
        self.known(node, [*EVALUATE, "against"], "evaluate")
        for key, entry in node.value.items():
            if key == "against":
                self.read_against(entry)
            elif key in EVALUATE:
                self.evaluate[key] = self.value(entry, f"evaluate.{key}", EVALUATE[key])

    def read_against(self, node: Node) -> None:
        for entry, path in self.entries(node, "evaluate.against"):
            name = entry.plain()
            if not isinstance(name, str) or name not in SCRIPTS:
                self.wrong(entry, path, wrong_value("policy", name, Literal["scripted", "random"]))
            elif name in self.against:
                self.wrong(entry, path, f"{name} is in the list already")
            else:
                self.against.append(name)

    def plan(self) -> Plan:
        """Make the plan, which has no mistakes."""
        settings = {
            name: with_absolute_paths(TrainingSettings(**values), self.base)
            for name, values in self.methods.items()
        }
        recordings = {name: recordings_sha256(found) for name, found in settings.items()}
        folder = self.base / (self.output or f"studies/{self.name}")
        jobs: list[Job] = []
        for source, scenario in self.scenarios:
            for method, values in settings.items():
                for seed in self.seeds:
                    own = replace(values, scenario=source, seed=seed)
                    jobs.append(self.job(len(jobs) + 1, folder, scenario, method, own, recordings[method]))
            for script in self.against:
                jobs.append(self.job(len(jobs) + 1, folder, scenario, script, None, None))
        return Plan(self.name, folder, self.evaluate["episodes"], jobs)

    def job(
        self,
        number: int,
        folder: Path,
        scenario: Scenario,
        method: str,
        settings: TrainingSettings | None,
        recordings: str | None,
    ) -> Job:
        """Make a job; without settings, of a script."""
        place = folder / scenario.name / method
        chosen = self.evaluate | ({} if settings else {"deterministic": False})
        return Job(
            number=number,
            scenario=scenario,
            method=method,
            seed=settings.seed if settings else None,
            settings=settings,
            folder=place / f"s{settings.seed}" if settings else place,
            episodes=chosen["episodes"],
            evaluation_seed=chosen["seed"],
            deterministic=chosen["deterministic"],
            identity={
                "scenario_sha256": scenario_sha256(scenario),
                "settings": settings and without_places(config_yaml(settings)),
                "recordings_sha256": recordings,
                **{f"evaluate_{name}": value for name, value in chosen.items()},
            },
        )


def without_places(settings: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return settings, as a configuration file has them, without the places of input."""
    return {
        section: {name: value for name, value in values.items() if name not in PLACES}
        for section, values in settings.items()
    }
