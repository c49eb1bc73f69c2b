"""What QEMU is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migmodel.stress.command import guest_arguments
from migmodel.stress.errors import SettingError

IMAGE, KERNEL = Path("/a b/guest"), Path("/boot/vmlinuz")


def _settings(argv: list[str]) -> dict[str, str]:
    words = argv[argv.index("-append") + 1].partition("-- ")[2]
    return dict(word.split("=") for word in words.split())


def test_bare() -> None:
    argv = guest_arguments("bare", IMAGE, None, ws_bytes=8192, cpus=2, mhz=2100.25)
    assert argv[:2] == ["-kernel", "/a b/guest"]
    assert "-initrd" not in argv
    assert _settings(argv) == {
        "ws": "8192",
        "still": "0",
        "rate": "0",
        "touch": "sweep",
        "pattern": "sweep",
        "content": "random",
        "cpus": "2",
        "report_ms": "75",
        "seed": "1",
        "mhz": "2100.250000",
    }


def test_linux() -> None:
    argv = guest_arguments(
        "linux", IMAGE, KERNEL, ws_bytes=4096, rate_pps=5, touch="page", seed=3
    )
    assert argv[:4] == ["-kernel", str(KERNEL), "-initrd", str(IMAGE)]
    assert argv[-1].startswith("console=ttyS0 ")
    settings = _settings(argv)
    assert "mhz" not in settings
    assert (settings["rate"], settings["touch"], settings["seed"]) == ("5", "page", "3")


def test_contents() -> None:
    text = guest_arguments(
        "bare", IMAGE, ws_bytes=8192, content="text", compressibility=0.75
    )
    assert _settings(text)["content"] == "text"
    assert _settings(text)["repeat"] == "48"
    delta = guest_arguments(
        "bare", IMAGE, ws_bytes=8192, content="delta", delta_bytes=64
    )
    assert _settings(delta)["delta"] == "64"
    assert "repeat" not in _settings(delta)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"kind": "windows"}, "bare or linux"),
        ({"kind": "linux"}, "needs a kernel"),
        ({"kernel": KERNEL}, "takes no kernel"),
        ({"touch": "all"}, "one of sweep, study, page, read"),
        ({"pattern": "any"}, "one of sweep, random"),
        ({"pattern": "random", "touch": "study"}, "choose another for pattern random"),
        ({"ws_bytes": 4095}, "multiple of 4096"),
        ({"ws_bytes": 0}, "multiple of 4096"),
        ({"ws_bytes": 4096, "cpus": 2}, "at least a page a vCPU"),
        ({"still_bytes": -4096}, "multiple of 4096"),
        ({"rate_pps": -1}, "0 to 1000000000 pages/s, not -1"),
        ({"content": "noise"}, "one of random, text, zero, delta"),
        ({"content": "text"}, "needs its compressibility"),
        ({"compressibility": 0.5}, "and it alone"),
        ({"content": "text", "compressibility": 0.3}, "multiple of 1/8 below 1"),
        ({"content": "text", "compressibility": 1.0}, "multiple of 1/8 below 1"),
        ({"content": "delta"}, "needs its bytes"),
        ({"content": "delta", "delta_bytes": 12}, "multiple of 8 bytes"),
        ({"content": "delta", "delta_bytes": 8, "touch": "page"}, "choose another"),
        ({"cpus": 65}, "1 to 64, not 65"),
        ({"cpus": 0}, "1 to 64, not 0"),
        ({"report_ms": 1001}, "50 to 1000 ms, not 1001"),
        ({"seed": -1}, "0 or more"),
        ({"mhz": 0.0}, "at least 1 MHz"),
    ],
)
def test_refusals(wrong: dict[str, Any], complaint: str) -> None:
    call: dict[str, Any] = {"kind": "bare", "kernel": None, "ws_bytes": 8192, **wrong}
    kind, kernel = call.pop("kind"), call.pop("kernel")
    with pytest.raises(SettingError, match=complaint):
        guest_arguments(kind, IMAGE, kernel, **call)
