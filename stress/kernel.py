"""Finds a kernel for the Linux guest."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .cache import cache_root, written_atomically
from .errors import SettingError, StressError

META_PACKAGE = "linux-image-amd64"
INSTEAD = "name a kernel with --kernel, or make one readable in /boot"


def kernel_image(kernel: Path | None = None, *, boot: Path = Path("/boot")) -> Path:
    """Return a kernel image.

    The first of: `kernel`; the one in the user's cache; the newest readable one of
    this host; one unpacked from Debian's package into the user's cache, which
    installs nothing.

    Parameters
    ----------
    kernel
        The user's choice.
    boot
        Where the host keeps its kernels.

    Raises
    ------
    SettingError
        `kernel` is not a file that can be read.
    StressError
        No kernel is there, and none can be fetched.
    """
    if kernel is not None:
        if not _is_readable(kernel):
            raise SettingError(f"no kernel can be read at {kernel}")
        return kernel
    kept = cache_root() / "kernel" / "vmlinuz"
    if _is_readable(kept):
        return kept
    installed = sorted(filter(_is_readable, boot.glob("vmlinuz*")), key=_modified)
    if installed:
        return installed[-1]
    _fetch(kept)
    return kept


def _is_readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _fetch(target: Path) -> None:
    for program in ("apt-cache", "apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise StressError(f"no kernel for the Linux guest, nor apt: {INSTEAD}")
    with tempfile.TemporaryDirectory(prefix="migmodel-kernel-") as folder:
        _call(["apt-get", "download", "-qq", _concrete_package()], folder)
        (package,) = Path(folder).glob("*.deb")
        with written_atomically(target) as draft:
            _unpack(package, draft)


def _concrete_package() -> str:
    """Name the package that the meta package stands for today."""
    depends = _call(["apt-cache", "depends", META_PACKAGE])
    for line in depends.splitlines():
        relation, _, package = line.strip().partition(": ")
        if relation == "Depends" and package.startswith("linux-image-"):
            return package
    raise StressError(
        f"no kernel for the Linux guest, and apt offers no {META_PACKAGE} "
        f"(are its lists there? apt-get update): {INSTEAD}"
    )


def _unpack(package: Path, target: Path) -> None:
    """Take the kernel alone out of the package: its modules are many times larger."""
    argv = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as unpacking:
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
                for member in archive:
                    if Path(member.name).name.startswith("vmlinuz-"):
                        content = archive.extractfile(member)
                        assert content is not None
                        target.write_bytes(content.read())
                        return
        except tarfile.TarError as error:
            raise StressError(f"cannot unpack {package.name}: {error}") from None
        finally:
            unpacking.kill()
    raise StressError(f"the package {package.name} holds no kernel: {INSTEAD}")


def _call(argv: Sequence[str], folder: str | None = None) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.splitlines() or ["no message"])[0]
        raise StressError(
            f"no kernel for the Linux guest: {' '.join(argv[:2])}: {said}; {INSTEAD}"
        )
    return done.stdout
