"""The destination's QEMU on another host: looks like one of ours from here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from migmodel.errors import QemuError
from migmodel.qemu.cpu import PROCESS
from migmodel.qemu.process import STDERR_TAIL_BYTES, CpuHandler
from migmodel.qemu.ssh import RemoteShell
from migmodel.units import NS_PER_S

SOCKETS = ("m", "c")  # monitor and console: short, as paths of sockets must be
_UP_TRIES = 200
_TICKS_PER_S = 100.0  # USER_HZ of x86, linux/arch/x86/include/uapi/asm/param.h


class RemoteProcess:
    """A running QEMU at the other end of a shell.

    Parameters
    ----------
    side : str
        Whose it is, for messages.
    argv : list of str
        Command line without monitor and console, which are added here.
    shell : RemoteShell
        In whose folder it runs.
    sockets : dict
        Local ends of the forwarded sockets, by name.
    prefix : list of str
        Put before the command line: what sets nice level and CPUs.

    Raises
    ------
    QemuError
        When it does not start.
    """

    def __init__(
        self,
        side: str,
        argv: list[str],
        shell: RemoteShell,
        sockets: dict[str, Path],
        prefix: list[str],
    ) -> None:
        self.side = side
        self.argv = argv + _channels()
        self.stderr_tail = ""
        self.was_killed = False
        self._shell = shell
        self._on_death: Callable[[str], None] | None = None
        self._clocks = RemoteClocks()
        self._asked_for_death = False
        words = shlex.join([*prefix, *self.argv])
        shell.run(
            f'cd "$dir" && {{ {words} </dev/null >log 2>&1 & }}\n'
            'qemu=$!\necho "$qemu" >qemu.pid'
        )
        monitor, console = SOCKETS
        up = shell.run(
            f"tries=0\nuntil [ -S {monitor} ] && [ -S {console} ]; do\n"
            '  kill -0 "$qemu" || break\n'
            f'  [ "$tries" -lt {_UP_TRIES} ] || break\n'
            "  tries=$((tries + 1)); sleep 0.05\ndone\n"
            f"[ -S {monitor} ] && [ -S {console} ] && echo up"
        )
        if up != ["up"]:
            self._read_log()
            last = self.stderr_tail.splitlines()[-1:] or ["it says nothing"]
            raise QemuError(f"the {side} QEMU did not start: {last[0]}")
        self._console = _connect(sockets[console])
        self.monitor_socket = _connect(sockets[monitor])
        self.console_fd = self._console.fileno()
        self._console.setblocking(False)

    def sample_cpu(self, record: CpuHandler) -> None:
        """Ask for the CPU clocks; they are handed on when they come."""
        if self._shell.lost is None and not self._asked_for_death:
            asked = partial(self._clocks_came, time.monotonic(), record)
            self._shell.post(b"cpu\n", asked)

    def watch(self, on_death: Callable[[str], None]) -> None:
        """Call `on_death` with the reason as soon as it or the connection is gone."""
        self._on_death = on_death
        asyncio.get_running_loop().add_reader(self._shell.fd, self._read)

    def unwatch(self) -> None:
        """Take it out of the event loop."""
        self._on_death = None
        asyncio.get_running_loop().remove_reader(self._shell.fd)

    def end(self) -> None:
        """Kill it and read what it said; its host is left by the shell's end."""
        if self._shell.lost is None:
            with contextlib.suppress(QemuError):
                self._shell.run('kill -9 "$qemu"; wait "$qemu"; rm -f qemu.pid')
                self._read_log()

    def close(self) -> None:
        """Close our ends of its sockets, after `end`."""
        self.monitor_socket.close()
        self._console.close()

    def _read(self) -> None:
        self._shell.read()
        if self._shell.lost is not None:
            asyncio.get_running_loop().remove_reader(self._shell.fd)
            self._tell(self._shell.lost)

    def _clocks_came(
        self, sent_s: float, record: CpuHandler, answered_s: float, lines: list[str]
    ) -> None:
        used = self._clocks.read(lines)
        if used is not None:
            record((sent_s + answered_s) / 2, used)
        elif not self._asked_for_death:
            self._asked_for_death = True
            script = 'wait "$qemu"; echo "$?"; rm -f qemu.pid; '
            tail = f"tail -c {STDERR_TAIL_BYTES} log"
            self._shell.post_script(script + tail, self._died)

    def _died(self, _: float, lines: list[str]) -> None:
        status, *said = lines or ["unknown"]
        self.stderr_tail = "\n".join(said).strip()
        number = int(status) if status.isdigit() else 0
        how = f"ended with exit status {status}"
        if number > 128:  # as shells have it
            self.was_killed = True
            how = f"was killed by signal {number - 128}"
        last = self.stderr_tail.splitlines()[-1:]
        self._tell(f"the {self.side} QEMU {how}" + "".join(f": {it}" for it in last))

    def _tell(self, reason: str) -> None:
        if self._on_death is not None:
            self._on_death(reason)
            self._on_death = None

    def _read_log(self) -> None:
        lines = self._shell.run(f"tail -c {STDERR_TAIL_BYTES} log")
        self.stderr_tail = "\n".join(lines).strip()


class RemoteClocks:
    """CPU seconds of a process and its threads, from lines of its files in /proc.

    The process's own clock there has ticks of 10 ms; the threads' are exact, but those
    of ended threads are gone: the larger of both sums is right within two ticks.
    """

    def __init__(self) -> None:
        self._threads: dict[str, float] = {}

    def read(self, lines: list[str]) -> dict[str, float] | None:
        """CPU seconds by thread name; None when the process has ended."""
        names: dict[str, str] = {}
        spent: dict[str, float] = {}
        ticks_s: float | None = None
        for line in lines:
            path, _, text = line.partition(":")
            parts = path.split("/")
            if parts[-1] == "comm":
                names[parts[-2]] = text.strip()
            elif parts[-1] == "schedstat":
                spent[parts[-2]] = int(text.split()[0]) / NS_PER_S
            elif parts[-1] == "stat":
                fields = text.rpartition(")")[2].split()
                if fields[0] in "ZX":
                    return None
                ticks_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        if ticks_s is None:
            return None
        self._threads |= spent
        used = {PROCESS: max(ticks_s, sum(self._threads.values()))}
        for task, name in names.items():
            if task in spent:
                used[name] = used.get(name, 0.0) + spent[task]
        return used


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    # Relative to its folder: paths of sockets are short.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError as error:
        connection.close()
        raise QemuError(
            f"ssh does not forward {path.name}: {error.strerror}; the host's sshd must "
            "allow it (AllowStreamLocalForwarding)"
        ) from None
    finally:
        os.close(folder)
    return connection


def _channels() -> list[str]:
    monitor, console = SOCKETS
    return [
        "-chardev",
        f"socket,id=monitor,path={monitor},server=on,wait=off",
        "-mon",
        "chardev=monitor,mode=control",
        "-chardev",
        f"socket,id=console,path={console},server=on,wait=off",
        "-serial",
        "chardev:console",
    ]
