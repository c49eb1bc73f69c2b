"""What setuptools is told, against what is in the tree."""

from __future__ import annotations

import ast
import fnmatch
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = SETUPTOOLS["package-dir"]
BENCHES = {"calibrate", "stress", "validate"}


def _packages() -> dict[str, Path]:
    """Every package in the tree, by the name it is imported under."""
    return {
        ".".join([name, *init.parent.relative_to(ROOT / folder).parts]): init.parent
        for name, folder in FOLDERS.items()
        for init in (ROOT / folder).rglob("__init__.py")
    }


def _imports(path: Path) -> Iterator[str]:
    """The absolute names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_package_of_the_tree_is_listed_and_no_other() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(_packages())


def test_every_folder_with_code_is_a_package() -> None:
    folders = {
        path.parent
        for folder in FOLDERS.values()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert folders == set(_packages().values())


def test_every_data_file_is_in_the_wheel() -> None:
    packages = _packages()
    forgotten = []
    for folder in FOLDERS.values():
        for path in (ROOT / folder).rglob("*"):
            if path.is_dir() or path.suffix in {".py", ".pyc"}:
                continue
            owner, home = max(
                ((n, h) for n, h in packages.items() if path.is_relative_to(h)),
                key=lambda found: len(found[1].parts),
            )
            inside = str(path.relative_to(home))
            patterns = SETUPTOOLS["package-data"].get(owner, [])
            if not any(fnmatch.fnmatch(inside, pattern) for pattern in patterns):
                forgotten.append(str(path.relative_to(ROOT)))
    assert forgotten == []


def test_the_locked_versions_cover_every_dependency() -> None:
    def name(requirement: str) -> str:
        plain = requirement.split("=")[0].split(">")[0]
        return plain.strip().lower().replace("_", "-").replace(".", "-")

    wanted = [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["dev"],
    ]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    locked = [line for line in lines if not line.startswith("#")]
    assert {name(one) for one in wanted} <= {name(one) for one in locked}
    assert all("==" in line for line in locked)


# Under these names import-linter sees nothing, so it is said here.
@pytest.mark.parametrize("folder", [*sorted(BENCHES), "migmodel"])
def test_a_bench_is_imported_by_none_but_itself(folder: str) -> None:
    foreign = {f"migmodel.{name}" for name in BENCHES} | BENCHES
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / folder).rglob("*.py")
        for name in _imports(path)
        if name in foreign or name.startswith(tuple(f"{f}." for f in foreign))
    ]
    assert wrong == []
