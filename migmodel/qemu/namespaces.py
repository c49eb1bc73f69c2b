"""Network namespaces without names: the kernel removes them with their last user."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from migmodel.errors import InputError, JobError

Result = TypeVar("Result")
PACKAGE = "iproute2"
_CLONE_NEWNET = 0x40000000  # linux/include/uapi/linux/sched.h
_LIBC = ctypes.CDLL(None, use_errno=True)


class CommandError(JobError):
    """`ip` or `tc` refused something; the text is what it said."""


class Namespace:
    """A network namespace of our own, held by a descriptor and by who runs in it.

    It has no name and no mount, so that nothing is left to remove: when we end, even
    by SIGKILL, and the programs in it with us, the kernel ends it and its devices.

    Raises
    ------
    InputError
        When this user may not make one.
    """

    def __init__(self) -> None:
        self.fd = _in_thread(_unshared)

    def close(self) -> None:
        """Let go of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function inside; a socket that it makes stays a socket of there."""

        def inside() -> Result:
            enter(self.fd)
            return function()

        return _in_thread(inside)

    def run(self, argv: Sequence[str], pass_fds: Sequence[int] = ()) -> None:
        """Run a short command inside.

        Raises
        ------
        CommandError
            When it fails: the last line of what it says.
        """

        def inside() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                pass_fds=pass_fds,
                check=False,
            )

        done = self.call(inside)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise CommandError(said[-1] if said else f"status {done.returncode}")


def enter(fd: int) -> None:
    """Move this thread (or this process, when it has but one) into a namespace."""
    if _LIBC.setns(fd, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def check_namespaces() -> None:
    """Refuse where namespaces cannot be made and shaped.

    Raises
    ------
    InputError
        Says what is missing: the programs, with their package, or the right to.
    """
    for program in ("ip", "tc"):
        if shutil.which(program) is None:
            raise InputError(
                f"a shaped link needs the program {program}: install {PACKAGE}"
            )
    Namespace().close()


def _unshared() -> int:
    if _LIBC.unshare(_CLONE_NEWNET):
        reason = os.strerror(ctypes.get_errno())
        raise InputError(
            "a shaped link needs root, to make network namespaces "
            f"({reason}): run as root, or measure --link tcp, which needs none"
        )
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _in_thread(function: Callable[[], Result]) -> Result:
    """Call it in a thread that ends: namespaces belong to threads, and ours stays."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # handed over to the caller
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
