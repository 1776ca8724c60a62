"""What is installed is what is tested: version, contents of the wheel, pinned versions and actions."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import townlet_core

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
PINNED = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
PINS = {canonicalize_name(name): version for name, version in PINNED}


def test_the_version_is_the_same_wherever_it_stands():
    assert PROJECT["project"]["version"] == townlet_core.__version__
    latest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert latest[1] == townlet_core.__version__


def test_the_wheel_carries_both_packages_their_types_the_pages_and_the_scenarios():
    assert WHEEL["only-include"] == ["townlet_core", "townlet_cli", "docs"]
    assert all((ROOT / package / "py.typed").is_file() for package in ("townlet_core", "townlet_cli"))
    assert WHEEL["sources"] == {"docs": "townlet_cli/pages"}
    assert WHEEL["force-include"] == {"scenarios": "townlet_core/scenario/bundled"}
    assert list((ROOT / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize(
    "wanted",
    [*PROJECT["project"]["dependencies"], *chain(*PROJECT["project"]["optional-dependencies"].values())],
)
def test_every_dependency_is_pinned_within_what_is_allowed(wanted):
    requirement = Requirement(wanted)
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def test_every_action_of_the_workflow_is_pinned_to_a_commit():
    used = re.findall(r"uses: (\S+)", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_the_git_hooks_run_the_versions_that_are_pinned():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    installed = re.findall(r"([\w-]+)==([\w.]+)", hooks)
    assert {name for name, _ in installed} == {"ruff", "pre-commit-hooks"}
    assert all(PINS[canonicalize_name(name)] == version for name, version in installed)
