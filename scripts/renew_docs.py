"""Runs the commands pasted into docs/, and renews or checks what they printed.

A block ``console`` whose first line is ``$ migmodel predict ...`` and which goes on
with output is renewed. With ``--check`` nothing is written: it fails when an output has
another shape, that is, differs in more than its numbers.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"```console\n\$ (migmodel predict [^\n|]*)\n(.+?)```\n", re.DOTALL)
PROGRAM = (sys.executable, "-m", "migmodel.cli.main")
NUMBER = re.compile(r"\d[\d.]*( (ms|s|min|h|KiB|MiB|GiB|Mbit/s|Gbit/s)\b(?!/))?")


def main() -> int:
    """Renew, or check, every page."""
    checking = sys.argv[1:] == ["--check"]
    stale = 0
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        renewed = BLOCK.sub(_renewed, text)
        if checking and _shape(text) != _shape(renewed):
            stale = 1
            lines = difflib.unified_diff(
                text.splitlines(),
                renewed.splitlines(),
                page.name,
                "now",
                lineterm="",
            )
            print("\n".join(lines))
        elif not checking and text != renewed:
            page.write_text(renewed, encoding="utf-8")
            print(f"renewed {page}")
    if stale:
        print("./dev docs renews what the commands print")
    return stale


def _renewed(block: re.Match[str]) -> str:
    command = shlex.split(block[1])
    done = subprocess.run(
        [*PROGRAM, *command[1:]],
        env={**os.environ, "COLUMNS": "88"},
        capture_output=True,
        text=True,
        check=True,
    )
    return f"```console\n$ {block[1]}\n{done.stdout.rstrip()}\n```\n"


def _shape(text: str) -> list[str]:
    """The words, whatever the numbers and where lines are broken for them."""
    return NUMBER.sub("#", " ".join(text.split())).split()


if __name__ == "__main__":
    sys.exit(main())
