"""One QEMU process: started in its own session, dies with us, always reaped."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from migmodel.errors import QemuError
from migmodel.qemu.cpu import ProcessCpu
from migmodel.qemu.namespaces import enter

STDERR_TAIL_BYTES = 4096
# A pipe holds what the guest prints while we are busy elsewhere: a reader that is
# late must never make the guest wait. 1 MiB is what a user may ask for by default.
CONSOLE_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ where Python names it
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_READ_BYTES = 65536

CpuHandler = Callable[[float, dict[str, float]], None]  # monotonic time [s], clocks


class QemuProcess:
    """A running QEMU, its monitor's socket and its console's pipe.

    Parameters
    ----------
    side : str
        source or destination.
    argv : list of str
        Command line without monitor and console, which are added here.
    folder : Path
        Working directory: private to the run, holds the migration's socket.
    nice : int
        Added to the nice level.
    cpus : tuple of int or None
        Host CPUs that it may run on; None is all.
    namespace_fd : int or None
        Network namespace that it runs in; None is our own.

    Raises
    ------
    QemuError
        When it cannot be started.
    """

    def __init__(
        self,
        side: str,
        argv: list[str],
        folder: Path,
        nice: int = 0,
        cpus: tuple[int, ...] | None = None,
        namespace_fd: int | None = None,
    ) -> None:
        self.side = side
        self.monitor_socket, monitor_peer = socket.socketpair()
        self.console_fd, console_peer = os.pipe()
        errors_fd, errors_peer = os.pipe()
        self._errors_fd = errors_fd
        self._stderr = b""
        self._pidfd: int | None = None
        with contextlib.suppress(OSError):
            fcntl.fcntl(console_peer, _F_SETPIPE_SZ, CONSOLE_PIPE_BYTES)
        self.argv = argv + _channels(monitor_peer.fileno(), console_peer)
        try:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=errors_peer,
                stderr=errors_peer,
                cwd=folder,
                pass_fds=(monitor_peer.fileno(), console_peer),
                start_new_session=True,
                preexec_fn=tie_to_parent(nice, cpus, namespace_fd),
            )
        except (OSError, subprocess.SubprocessError) as error:
            for fd in (self.console_fd, errors_fd):
                os.close(fd)
            self.monitor_socket.close()
            raise QemuError(f"the {side} QEMU cannot be started: {error}") from None
        finally:
            monitor_peer.close()
            os.close(console_peer)
            os.close(errors_peer)
        os.set_blocking(errors_fd, False)
        os.set_blocking(self.console_fd, False)
        self._cpu = ProcessCpu(self.pid)

    @property
    def pid(self) -> int:
        """Process id of QEMU itself: wrappers end in exec."""
        return self._process.pid

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it."""
        status = self._process.poll()
        return status is not None and status < 0

    @property
    def stderr_tail(self) -> str:
        """The last of what QEMU wrote to its standard output and error."""
        self._read_errors()
        return self._stderr.decode(errors="replace").strip()

    def sample_cpu(self, record: CpuHandler) -> None:
        """Read the CPU clocks and hand on what they show."""
        record(time.monotonic(), self._cpu.sample())

    def watch(self, on_death: Callable[[str], None]) -> None:
        """Call `on_death` with the reason as soon as the process ends by itself."""
        loop = asyncio.get_running_loop()
        pidfd = self._pidfd = os.pidfd_open(self.pid)

        def ended() -> None:
            loop.remove_reader(pidfd)
            on_death(self._how_it_ended())

        loop.add_reader(pidfd, ended)
        loop.add_reader(self._errors_fd, self._read_errors)

    def unwatch(self) -> None:
        """Take the process out of the event loop."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._errors_fd)
        if self._pidfd is not None:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def end(self) -> None:
        """Kill and reap it, with whatever it started; safe to call again.

        The guests are ours alone and hold nothing: there is nothing to flush.
        """
        if self._process.poll() is None:  # not yet reaped: the id is still its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._read_errors()

    def close(self) -> None:
        """Close our ends of its pipes, after `end`."""
        self.monitor_socket.close()
        for fd in (self.console_fd, self._errors_fd):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._errors_fd = self.console_fd = -1

    def _how_it_ended(self) -> str:
        status = self._process.wait()
        if status < 0:
            how = f"was killed by signal {-status} ({signal.Signals(-status).name})"
        else:
            how = f"ended with exit status {status}"
        last = self.stderr_tail.splitlines()[-1:]
        return f"the {self.side} QEMU {how}" + "".join(f": {line}" for line in last)

    def _read_errors(self) -> None:
        while self._errors_fd >= 0:
            try:
                data = os.read(self._errors_fd, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                with contextlib.suppress(RuntimeError):  # no loop any more
                    asyncio.get_running_loop().remove_reader(self._errors_fd)
                return
            self._stderr = (self._stderr + data)[-STDERR_TAIL_BYTES:]


def _channels(monitor_fd: int, console_fd: int) -> list[str]:
    return [
        "-chardev",
        f"socket,id=monitor,fd={monitor_fd}",
        "-mon",
        "chardev=monitor,mode=control",
        # A pipe by way of a file: writes to it wait instead of losing anything.
        "-chardev",
        f"file,id=console,path=/dev/fd/{console_fd}",
        "-serial",
        "chardev:console",
    ]


def tie_to_parent(
    nice: int = 0,
    cpus: tuple[int, ...] | None = None,
    namespace_fd: int | None = None,
) -> Callable[[], None]:
    """Make what a child does first: die when this thread does, even by SIGKILL."""
    parent = os.getpid()

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before we asked
            os._exit(1)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)
        if namespace_fd is not None:
            enter(namespace_fd)
        if nice:
            os.nice(nice)
            # Each session is scheduled as a group where the kernel has autogroups:
            # there a nice level counts within the group only, which has its own.
            with contextlib.suppress(OSError):
                Path("/proc/self/autogroup").write_text(str(nice), encoding="ascii")

    return tie
