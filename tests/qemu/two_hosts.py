"""Two hosts on one: two network namespaces, a real sshd in the second.

The driver runs as a process of its own in the first: it knows nothing of that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from migmodel.errors import InputError
from migmodel.qemu import shaping
from migmodel.qemu.namespaces import Namespace, check_namespaces, enter

PORT = 2222
ADDRESS = shaping.DESTINATION_ADDRESS
ALIAS = "there"
PATIENCE_S = 60.0
# sshd wants an account to drop its rights to, and an empty folder in /run: it gets both
# in a mount namespace, and this host is left as it is.
_START = """
mount --bind "$1/passwd" /etc/passwd && mount -t tmpfs tmpfs /run && mkdir /run/sshd &&
exec "$2" -D -e -f "$1/sshd_config"
"""
# Tells each phase; a migration that does not converge goes on until it is ended.
_DRIVE = """
import pathlib, sys
from migmodel.qemu.driver import measure
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.options import DriverOptions
from migmodel.qemu.target import RemoteTarget
from migmodel.records import Link, Scenario
from migmodel.records.files import read_record, write_record
scenario, image, qemu, config, out = sys.argv[1:]
options = DriverOptions(
    image=GuestImage("bare", pathlib.Path(image)), qemu=qemu, accel="tcg",
    baseline_s=0.2, after_s=0.5,
    remote=RemoteTarget(host="there", qemu=qemu, ssh_config=config),
)
told = set()
def tell(phase, status):
    if phase not in told:
        told.add(phase)
        print(phase, flush=True)
scenario = read_record(pathlib.Path(scenario), Scenario)
write_record(pathlib.Path(out), measure(scenario, options, on_progress=tell))
"""


def find_sshd() -> str:
    """The host's own sshd, or what the set-up has unpacked."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for file in (Path("/usr/sbin/sshd"), cache / "migmodel" / "sshd" / "sshd"):
        if os.access(file, os.X_OK):
            return str(file)
    pytest.skip("no sshd: ./dev setup sshd gets one")


class TwoHosts:
    """Both namespaces, the link between them, and the sshd."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        try:
            check_namespaces()
        except InputError as error:
            pytest.skip(str(error))
        if shutil.which("ssh-keygen") is None:
            pytest.skip("no ssh: install openssh-client")
        self.folder = folder
        self.config = folder / "config"
        sshd = find_sshd()
        self.here, self.there = Namespace(), Namespace()
        opened.callback(self.here.close)
        opened.callback(self.there.close)
        shaping.join(self.here, self.there)
        self._write_settings()
        self.log = folder / "sshd.log"
        with self.log.open("wb") as log:
            self._sshd = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", _START, "sh", folder, sshd],
                stderr=log,
                preexec_fn=lambda: enter(self.there.fd),
            )
        opened.callback(self._sshd.wait)
        opened.callback(self._sshd.terminate)
        self.wait(lambda: "listening" in self.log.read_text())

    def _write_settings(self) -> None:
        for name in ("host", "user"):
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name]
            subprocess.run(argv, check=True, cwd=self.folder)
        key = (self.folder / "user.pub").read_text()
        (self.folder / "authorized").write_text(key)
        known = f"[{ADDRESS}]:{PORT} " + (self.folder / "host.pub").read_text()
        (self.folder / "known").write_text(known)
        accounts = Path("/etc/passwd").read_text()
        if "\nsshd:" not in accounts:
            accounts += "sshd:x:65500:65534::/run/sshd:/usr/sbin/nologin\n"
        (self.folder / "passwd").write_text(accounts)
        (self.folder / "sshd_config").write_text(
            f"Port {PORT}\nListenAddress {ADDRESS}\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
            "PermitRootLogin prohibit-password\nPidFile none\nLogLevel INFO\n"
        )
        self.config.write_text(
            f"Host {ALIAS}\nHostName {ADDRESS}\nPort {PORT}\nUser root\n"
            f"IdentityFile {self.folder}/user\nIdentitiesOnly yes\n"
            f"UserKnownHostsFile {self.folder}/known\n"
        )

    def drive(self, scenario: Path, image: Path, qemu: Path, out: Path) -> Driver:
        """Start a driver in the first namespace."""
        words = [scenario, image, qemu, self.config, out]
        argv = [sys.executable, "-c", _DRIVE, *map(str, words)]
        return Driver(argv, self)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in the first namespace."""
        return subprocess.run(
            [sys.executable, "-m", "migmodel.cli.main", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            preexec_fn=lambda: enter(self.here.fd),
        )

    def cut(self) -> None:
        """Pull the cable."""
        self.here.run(["ip", "link", "set", shaping.DEVICE, "down"])

    def processes(self) -> dict[int, str]:
        """Processes on the second host but for its sshd's own."""
        where = Path(f"/proc/{self._sshd.pid}/ns/net").readlink()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                words = (folder / "cmdline").read_text().replace("\0", " ")
                if state != "Z" and (folder / "ns" / "net").readlink() == where:
                    found[int(folder.name)] = words
            except OSError:
                continue
        return {pid: words for pid, words in found.items() if "sshd" not in words}

    def shell(self) -> int:
        """The driver's shell there: its watchdog, a copy of it, is its child.

        Not the lower number of the two: numbers start anew after the highest.
        """
        shells = {pid for pid, it in self.processes().items() if it.startswith("sh -c")}
        [shell] = [pid for pid in shells if _parent(pid) not in shells]
        return shell

    def leftovers(self) -> list[str]:
        """Processes and folders on the second host, whose /tmp is ours."""
        folders = map(str, Path("/tmp").glob("migmodel-" + "[0-9a-f]" * 32))
        return [*self.processes().values(), *folders]

    @staticmethod
    def wait(true: Callable[[], bool]) -> None:
        """Wait until it is, but not for ever."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < give_up_s
            time.sleep(0.05)


def _parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


class Driver:
    """A driver that runs, and tells its phases."""

    def __init__(self, argv: list[str], hosts: TwoHosts) -> None:
        self.process = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: enter(hosts.here.fd),
        )

    def until(self, phase: str) -> None:
        """Read until it tells a phase."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == phase:
                return
        _, errors = self.process.communicate()
        raise AssertionError(f"it never came to {phase}: {errors}")

    def end(self) -> str:
        """Wait for its end; answers what it complained of."""
        return self.process.communicate(timeout=PATIENCE_S)[1]
