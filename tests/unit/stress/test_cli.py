"""`migmodel stress`: wrong input is one line and exit status 2, before any start."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from migmodel.stress.cli import stress


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("run --ws much", "is no size"),
        ("run --ws -1", "is no size"),
        ("run --ws 64m --mem 64m", "more than --ws"),
        ("run --ws 4000b", "multiple of 4096"),
        ("run --ws 5k", "multiple of 4096"),
        ("run --mem 4 --ws 1", "at most 3 GiB"),
        ("run --cpus 0", "1 to 64"),
        ("run --rate -5", "0 to 1000000000 pages/s"),
        ("run --touch all", "not one of"),
        ("run --seconds 0", "x>0"),
        ("run --kind linux --ws 4096 --mem 8192", "has free"),
        ("run --qemu no-such-qemu", "no QEMU at no-such-qemu"),
        ("build --kernel /boot/x", "--kind linux"),
    ],
)
def test_wrong_input(line: str, complaint: str) -> None:
    result = CliRunner().invoke(stress, line.split())
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_build_prints_the_file() -> None:
    result = CliRunner().invoke(stress, ["build"])
    assert result.exit_code == 0
    assert result.output.strip().endswith("bare.elf")
