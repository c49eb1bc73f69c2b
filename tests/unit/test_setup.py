"""The set-up's reading of apt's sources."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
DEB822 = """\
# the host's own
Types: deb
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/debian.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# the host's own
deb [signed-by=/keys/debian.gpg] http://mirror.example/debian bookworm main contrib
deb-src http://mirror.example/debian bookworm main
deb http://elsewhere.example/debian bookworm main
"""


def test_a_users_set_up_can_write_pages() -> None:
    """What `migmodel` itself offers, `--html` among it, works without more."""
    told = 'install_project() { echo "$2"; }; setup_python; setup_dev_python'
    done = subprocess.run(
        ["bash", "-c", f'. "{SCRIPTS}/setup_python.sh"; {told}'],
        capture_output=True,
        text=True,
        check=True,
    )
    extras = tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text())
    extras = extras["project"]["optional-dependencies"]
    for wanted in done.stdout.split():
        extra = wanted.removeprefix(".[").removesuffix("]")
        assert any(it.startswith("plotly") for it in extras[extra])


def _entries(text: str, kind: str) -> list[str]:
    done = subprocess.run(
        [
            *("bash", "-c", f'. "{SCRIPTS}/private_apt.sh"; suite_entries "$@"', "-"),
            *("http://mirror.example/debian", "bookworm", "forky", kind),
        ],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (
            "sources",
            DEB822,
            [
                "Types: deb",
                "URIs: http://mirror.example/debian/",
                "Suites: forky",
                "Components: main",
                "Signed-By: /keys/debian.gpg",
            ],
        ),
        (
            "list",
            ONE_LINE,
            [ONE_LINE.splitlines()[1].replace("bookworm", "forky")],
        ),
    ],
)
def test_another_suite_comes_from_the_same_mirror_with_the_same_keys(
    kind: str, text: str, expected: list[str]
) -> None:
    assert _entries(text, kind) == expected
