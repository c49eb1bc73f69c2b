"""A shell on another host, over OpenSSH, that leaves nothing there when we go."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from migmodel.errors import InputError, QemuError
from migmodel.qemu.process import tie_to_parent
from migmodel.qemu.target import RemoteTarget

ReplyHandler = Callable[[float, list[str]], None]
AGENT = Path(__file__).with_name("agent.sh")
_FOLDERS = "/tmp"  # on the other host; the name is drawn, its mode 0700
_CONNECT_TIMEOUT_S = 20
_LEAVE_TIMEOUT_S = 5.0
# A connection that has died unseen is given up after three unanswered ones.
_ALIVE_INTERVAL_S = 5
_OPTIONS = (
    "BatchMode=yes",
    f"ConnectTimeout={_CONNECT_TIMEOUT_S}",
    f"ServerAliveInterval={_ALIVE_INTERVAL_S}",
    "ServerAliveCountMax=3",
    "ControlMaster=no",  # this connection's end is to end what is on it
    "ControlPath=none",
    "ExitOnForwardFailure=yes",
    "StreamLocalBindUnlink=yes",
    "Compression=no",
)
_CHUNK_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_END = "end "


class RemoteShell:
    """A shell in a folder of its own on another host; a context manager.

    Parameters
    ----------
    target : RemoteTarget
        Which host.
    forwards : dict
        Local socket by the name of the one in the folder there that it leads to.

    Raises
    ------
    InputError
        When there is no ssh, or the host does not let us in.
    """

    def __init__(self, target: RemoteTarget, forwards: dict[str, Path]) -> None:
        self.target = target
        self.folder = f"{_FOLDERS}/migmodel-{secrets.token_hex(16)}"
        self._buffer = b""
        self._lines: list[str] = []
        self._waiting: deque[ReplyHandler] = deque()
        self.lost: str | None = None
        argv = [*ssh_argv(target), "-T", "-x", "-a"]
        for option in _OPTIONS:
            argv += ["-o", option]
        for name, local in forwards.items():
            argv += ["-L", f"{local}:{self.folder}/{name}"]
        agent = f"dir={self.folder}\n{AGENT.read_text(encoding='ascii')}".encode()
        # One line that every login shell reads alike; all else comes by its input.
        command = f"exec sh -c 'eval \"$(head -c {len(agent)})\"'"
        self._errors_fd, errors_peer = os.pipe()
        self._process = subprocess.Popen(
            [*argv, "--", target.host, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors_peer,
            start_new_session=True,
            preexec_fn=tie_to_parent(),
        )
        os.close(errors_peer)
        os.set_blocking(self._errors_fd, False)
        self._waiting.append(lambda *_: None)
        try:
            self._send(agent)
            self._wait(_CONNECT_TIMEOUT_S + 5.0)
        except QemuError as error:
            self.close()
            raise InputError(f"--dst-host {target.host}: {error}") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RemoteShell:
        """Stay connected."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave."""
        self.close()

    @property
    def fd(self) -> int:
        """Readable when there are answers: call `read` then."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def run(self, script: str, timeout_s: float = 30.0) -> list[str]:
        """Run a piece of shell there and wait for what it prints.

        Raises
        ------
        QemuError
            When the connection is lost or the host does not answer.
        """
        return self.ask(_piece(script), timeout_s)[1]

    def ask(self, request: bytes, timeout_s: float = 30.0) -> tuple[float, list[str]]:
        """Send a request and wait; answers the time of the answer, and its lines."""
        answers: list[tuple[float, list[str]]] = []
        self.post(request, lambda at_s, lines: answers.append((at_s, lines)))
        self._wait(timeout_s)
        return answers[-1]

    def post(self, request: bytes, on_reply: ReplyHandler) -> None:
        """Send a request; `read` calls back with its answer."""
        self._waiting.append(on_reply)
        self._send(request)

    def post_script(self, script: str, on_reply: ReplyHandler) -> None:
        """Send a piece of shell; `read` calls back with what it printed."""
        self.post(_piece(script), on_reply)

    def upload(self, file: Path, name: str) -> None:
        """Copy a file into the folder there."""
        data = file.read_bytes()
        for start in range(0, len(data), _CHUNK_BYTES):
            chunk = data[start : start + _CHUNK_BYTES]
            script = f'head -c {len(chunk)} >>"$dir/{name}"'
            self.ask(_piece(script) + chunk, timeout_s=120.0)
        copied = self.run(f'wc -c <"$dir/{name}"')
        if "".join(copied).strip() != str(len(data)):
            raise QemuError(f"{self.target.host}: {file.name} did not arrive whole")

    def read(self) -> None:
        """Take in what has come, and call back."""
        now_s = time.monotonic()
        data = os.read(self.fd, _READ_BYTES)
        if not data:
            self._lose()
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            if not text.startswith(_END):
                self._lines.append(text)
                continue
            answer, self._lines = self._lines, []
            if self._waiting:
                self._waiting.popleft()(now_s, answer)

    def close(self) -> None:
        """End the connection: the other end removes all that is there."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_LEAVE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
            if self._errors_fd >= 0:
                os.close(self._errors_fd)
                self._errors_fd = -1

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError:
            self._lose()

    def _wait(self, timeout_s: float) -> None:
        """Read until nothing is waited for."""
        give_up_s = time.monotonic() + timeout_s
        while self._waiting and self.lost is None:
            left_s = give_up_s - time.monotonic()
            if left_s <= 0 or not select.select([self.fd], [], [], left_s)[0]:
                raise QemuError(f"no answer from {self.target.host} in {timeout_s:g} s")
            self.read()
        if self.lost is not None:
            raise QemuError(self.lost)

    def _lose(self) -> None:
        if self.lost is None:
            try:
                said = os.read(self._errors_fd, _READ_BYTES).decode(errors="replace")
            except OSError:
                said = ""
            lines = said.strip().splitlines()
            self.lost = f"the connection to {self.target.host} broke off" + (
                f": {lines[-1].strip()}" if lines else ""
            )


def ssh_argv(target: RemoteTarget) -> list[str]:
    """`ssh` with its configuration.

    Raises
    ------
    InputError
        When there is none.
    """
    if shutil.which("ssh") is None:
        raise InputError("--dst-host needs the program ssh: install openssh-client")
    return ["ssh", *(["-F", target.ssh_config] if target.ssh_config else [])]


def migration_address(target: RemoteTarget) -> str:
    """Number of the address that the migration goes to.

    Raises
    ------
    InputError
        When its name cannot be resolved.
    """
    name = target.address
    if name is None:
        done = subprocess.run(
            [*ssh_argv(target), "-G", "--", target.host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        words = (line.partition(" ") for line in done.stdout.splitlines())
        name = next((value for key, _, value in words if key == "hostname"), "")
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(
            f"--dst-address: cannot resolve '{name}' ({error}): name the address that "
            "the migration shall go to"
        ) from None
    return str(found[0][4][0])


def _piece(script: str) -> bytes:
    data = script.encode()
    return f"{len(data)}\n".encode() + data
