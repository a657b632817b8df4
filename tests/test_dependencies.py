"""What is imported is declared, with a lower bound; and the lowest declared versions run the demo."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from helpers.house import HOUSE

FLOORS = ("audit", "metrics", "reports")
# What is tried out: the code goes on where it is not installed.
OPTIONAL = {"pillow_heif"}


def project() -> dict[str, object]:
    with (HOUSE / "pyproject.toml").open("rb") as file:
        found: dict[str, object] = tomllib.load(file)["project"]
    return found


def names(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    return {re.split(r"[=<>\[;! ]", one)[0].lower().replace("_", "-") for one in requirements}


def imported() -> dict[str, Path]:
    """Packages of others that the code imports, each with a file that does."""
    found: dict[str, Path] = {}
    for path in (file for floor in FLOORS for file in sorted((HOUSE / floor).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0]: path for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found[node.module.partition(".")[0]] = path
    return {name: path for name, path in found.items() if name not in {*sys.stdlib_module_names, "counterproof"}}


def test_every_package_that_is_imported_is_declared() -> None:
    plain = project()
    extras = plain["optional-dependencies"]
    assert isinstance(extras, dict)
    declared = names(plain["dependencies"]).union(*(names(one) for name, one in extras.items() if name != "dev"))
    known = packages_distributions()
    for name, path in imported().items():
        if name in OPTIONAL or name == "pytest":  # the plugin is loaded by pytest alone
            continue
        distributions = {one.lower().replace("_", "-") for one in known.get(name, [name])}
        assert distributions & declared, f"{path} imports {name}, which pyproject.toml does not declare"


def test_every_dependency_has_a_lowest_version() -> None:
    plain = project()
    assert isinstance(plain["dependencies"], list)
    assert all(re.search(r"[>=]=\d", one) for one in plain["dependencies"])


def test_the_readme_names_the_licence_of_every_dependency() -> None:
    text = (HOUSE / "README.md").read_text(encoding="utf-8").lower()
    section = text.partition("## data and licence")[2]
    assert section
    for name in names(project()["dependencies"]):
        assert name in section, f"the README does not say under which licence {name} is"


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("COUNTERPROOF_LOWEST") != "1", reason="downloads a second torch; run it with COUNTERPROOF_LOWEST=1"
)
def test_the_lowest_declared_versions_run_the_demo() -> None:
    done = subprocess.run([HOUSE / ".ci" / "lowest"], capture_output=True, text=True, check=False)
    if "No matching distribution" in done.stderr or "Temporary failure in name resolution" in done.stderr:
        pytest.skip("offline")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
