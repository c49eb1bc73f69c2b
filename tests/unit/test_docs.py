"""What commands are said to print in docs/ is what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec

import migmodel
from migmodel.records import Outcome

ROOT = Path(__file__).parents[2]
RENEW = ROOT / "scripts" / "renew_docs.py"


def test_pasted_output_has_the_shape_of_todays() -> None:
    """Numbers may have moved with the model: ./dev docs renews them."""
    done = subprocess.run(
        [sys.executable, str(RENEW), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_python_of_the_page_on_python_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "howto-python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.+?)```", page, re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "prediction.json").exists()


def test_the_page_on_python_names_all_that_is_public() -> None:
    page = (ROOT / "docs" / "howto-python.md").read_text(encoding="utf-8")
    assert [it for it in migmodel.__all__ if f"`{it}" not in page] == []


def test_the_nomenclature_names_every_number_of_an_outcome() -> None:
    page = (ROOT / "docs" / "nomenclature.md").read_text(encoding="utf-8")
    names = {field.name for field in msgspec.structs.fields(Outcome)}
    assert {it for it in names if f"`{it}`" not in page} == set()
