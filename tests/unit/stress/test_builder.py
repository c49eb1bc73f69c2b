"""What the builder makes, keeps and refuses."""

from __future__ import annotations

import gzip
import stat
import struct
from pathlib import Path

import pytest

from migmodel.stress.builder import SOURCE_NAMES, SOURCES, build_bare, build_linux
from migmodel.stress.errors import StressError

MULTIBOOT_MAGIC = 0x1BADB002


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def _entries(archive: bytes) -> dict[str, tuple[int, tuple[int, int], bytes]]:
    """Read a newc archive: mode, device and data by name."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 109 + name_size].decode()
        start = at + (110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        device = (fields[9], fields[10])
        found[name] = (mode, device, archive[start : start + size])
        at = start + (size + 3) // 4 * 4


def test_every_source_is_listed() -> None:
    sources = {path.name for path in SOURCES.iterdir()}
    compiled = {name for name in sources if name.endswith((".c", ".h", ".S", ".ld"))}
    assert set(SOURCE_NAMES) == compiled


def test_bare_guest_is_multiboot(tmp_path: Path) -> None:
    image = build_bare(tmp_path / "new" / "guest.elf").read_bytes()
    assert image[:4] == b"\x7fELF"
    headers = [
        struct.unpack_from("<8I", image, at)
        for at in range(0, 8192 - 32, 4)
        if struct.unpack_from("<I", image, at) == (MULTIBOOT_MAGIC,)
    ]
    (magic, flags, checksum, header, load, loaded_end, bss_end, entry) = headers[0]
    assert (magic + flags + checksum) % 2**32 == 0
    assert flags & 1 << 16  # the addresses that follow are used, not ELF's
    assert load == header == 1 << 20
    assert load < entry < loaded_end <= bss_end < 4 << 20


def test_linux_guest_is_an_initramfs(tmp_path: Path) -> None:
    entries = _entries(gzip.decompress(build_linux(tmp_path / "guest").read_bytes()))
    assert entries["dev/console"][:2] == (stat.S_IFCHR | 0o600, (5, 1))
    assert entries["dev/ttyS0"][:2] == (stat.S_IFCHR | 0o600, (4, 64))
    mode, _, program = entries["init"]
    assert mode == stat.S_IFREG | 0o755
    assert program[:4] == b"\x7fELF"
    assert b"/lib64/ld-linux" not in program  # static


def test_second_build_is_not_compiled(tmp_path: Path) -> None:
    log = tmp_path / "log"
    cc = _script(tmp_path / "cc", f'echo "$@" >>{log}; exec gcc "$@"')
    first = build_bare(cc=cc)
    compiled = log.read_text().count(" -c ")
    content = first.read_bytes()
    again = build_bare(tmp_path / "copy.elf", cc)
    assert compiled == 4
    assert log.read_text().count(" -c ") == compiled
    assert again.read_bytes() == content


def test_another_compiler_builds_anew(tmp_path: Path) -> None:
    cc = _script(
        tmp_path / "cc",
        '[ "$1" = --version ] && echo another && exit; exec gcc "$@"',
    )
    assert build_bare(cc=cc) != build_bare()


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo aarch64-linux-gnu", "builds for aarch64-linux-gnu"),
        (
            "[ $1 = -dumpmachine ] && echo x86_64; echo b.c: error: bad >&2; [ -z $2 ]",
            "b.c: error: bad",
        ),
    ],
)
def test_a_useless_compiler_is_one_line(
    tmp_path: Path, cache: Path, script: str, complaint: str
) -> None:
    with pytest.raises(StressError, match=complaint) as error:
        build_bare(cc=_script(tmp_path / "cc", script))
    assert "\n" not in str(error.value)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_no_compiler_says_what_to_install() -> None:
    with pytest.raises(StressError, match="install gcc"):
        build_bare(cc="no-such-compiler")


def test_an_unwritable_target_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StressError, match="cannot write the guest"):
        build_bare(tmp_path / "file" / "guest.elf")
