"""The set-up's reading of apt's sources."""

from __future__ import annotations

import subprocess
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
