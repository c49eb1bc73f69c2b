"""A scripted QEMU: speaks QMP as one side of a migration, and fails as it is told.

Run like QEMU, with the driver's own command line. The environment's PEER_SCRIPT is a
JSON object: ``source`` and ``destination`` map a QMP command (or ``start``, the first
moment) to what goes wrong in it, ``guest`` says how the guest behaves. Source and
destination find each other by files in their common working directory.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

SCRIPT = json.loads(os.environ.get("PEER_SCRIPT", "{}"))
HANDOVER = Path("handover.json")
LINE_S = 0.05
TICK_S = 0.01
RAM = 67641344
WITH_RAM = ("active", "pre-switchover", "completed", "cancelled", "postcopy-active")
# What both sides know of the connection in post-copy.
BROKEN, RESUMED, SENT = Path("broken"), Path("resumed"), Path("sent")


class RefusedError(Exception):
    """What a command is answered that cannot be done now."""


def main() -> None:
    if "--version" in sys.argv:
        version = SCRIPT.get("version", "10.0.2")
        sys.stdout.write(f"QEMU emulator version {version} (Scripted 1)\n")
        return
    Peer(" ".join(sys.argv)).run()


class Peer:
    def __init__(self, words: str) -> None:
        self.side = "destination" if "-incoming" in words else "source"
        self.wrong: dict[str, Any] = SCRIPT.get(self.side, {})
        self.guest: dict[str, Any] = SCRIPT.get("guest", {})
        self.monitor = socket.socket(fileno=_number(r"id=monitor,fd=(\d+)", words))
        self.console = os.open(_text(r"path=(/dev/fd/\d+)", words), os.O_WRONLY)
        self.status = "none"
        self.capabilities: set[str] = set()
        self.calls: dict[str, int] = {}
        self.running = self.side == "source"
        self.paused = False  # by the manager, before the end
        self.stopped_ns = 0  # where the guest's clock stands while it does
        self.clock_s = time.monotonic()
        self.migrate_s = 0.0
        self.polls = 0
        self.goal = 0  # polls by which all is sent in post-copy
        self.sweeps = 0
        self.last_line_ns = 0
        self.buffer = ""
        log = Path(os.environ["PEER_LOG"])
        log.mkdir(exist_ok=True)
        (log / f"{os.getpid()}").write_text(self.side)
        self.log = log / f"{self.side}.commands"

    def run(self) -> None:
        if self.goes_wrong("start", {}):
            return
        self.send({"QMP": {"version": {}, "capabilities": []}})
        if self.side == "source":
            self.print_line("start version=1 kind=bare cpus=1 ws_bytes=4194304 " + REST)
            self.print_line("ready t_ns=0")
        while True:
            if select.select([self.monitor], [], [], TICK_S)[0]:
                data = self.monitor.recv(65536)
                if not data:
                    return
                self.buffer += data.decode()
                self.read_requests()
            self.tick()

    def read_requests(self) -> None:
        while self.buffer:
            try:
                request, end = json.JSONDecoder().raw_decode(self.buffer)
            except ValueError:
                return
            self.buffer = self.buffer[end:].lstrip()
            self.answer(request)

    # -- QMP ----------------------------------------------------------------------

    def answer(self, request: dict[str, Any]) -> None:
        command = request.get("execute") or request["exec-oob"]
        with self.log.open("a") as log:
            log.write(command + "\n")
        with self.log.with_suffix(".arguments").open("a") as log:
            log.write(json.dumps([command, request.get("arguments")]) + "\n")
        tag = {"id": request["id"]} if "id" in request else {}
        if self.goes_wrong(command, tag):
            return
        for it in request.get("arguments", {}).get("capabilities", ()):
            (self.capabilities.add if it["state"] else self.capabilities.discard)(
                it["capability"]
            )
        method = getattr(self, "do_" + re.sub(r"\W", "_", command), None)
        try:
            self.send({"return": method() if method else {}, **tag})
        except RefusedError as error:
            self.refuse(str(error), tag)

    def refuse(self, text: str, tag: dict[str, Any]) -> None:
        error = {"class": "GenericError", "desc": text}
        self.send({"error": error, **tag})

    def goes_wrong(self, command: str, tag: dict[str, Any]) -> bool:
        self.calls[command] = self.calls.get(command, 0) + 1
        wrong = self.wrong.get(command)
        if not wrong or self.calls[command] != wrong.get("at", 1):
            return False
        what = wrong["what"]
        if what == "break off":  # the destination goes first, then this side
            HANDOVER.write_text('{"cancelled": true}')
            time.sleep(0.3)
        if what in ("die", "break off"):
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "exit":
            sys.stderr.write(f"qemu-system-x86_64: {wrong['text']}\n")
            sys.stderr.flush()
            os._exit(1)
        if what == "freeze":
            time.sleep(1000)
        if what == "refuse":
            self.refuse(wrong["text"], tag)
        if what == "late":
            time.sleep(wrong["s"])
            return False
        return what in ("refuse", "silent")

    def send(self, message: Any) -> None:
        self.monitor.sendall(json.dumps(message).encode() + b"\r\n")

    def event(self, name: str, **data: Any) -> None:
        seconds, fraction = divmod(time.time(), 1)
        stamp = {"seconds": int(seconds), "microseconds": int(fraction * 1e6)}
        self.send({"event": name, "data": data, "timestamp": stamp})

    def enter(self, status: str) -> None:
        self.status = status
        if status != SCRIPT.get("without_event"):
            self.event("MIGRATION", status=status)

    def do_migrate(self) -> Any:
        if self.status == "postcopy-paused":
            return self.recover()
        self.migrate_s = time.monotonic()
        self.enter("setup")
        self.enter("active")
        self.event("MIGRATION_PASS", **{"pass": 1})
        return {}

    def do_stop(self) -> Any:
        self.pause()
        return {}

    def do_cont(self) -> Any:
        self.resume(self.stopped_ns)
        return {}

    def do_migrate_cancel(self) -> Any:
        self.enter("cancelling")
        self.enter("cancelled")
        HANDOVER.write_text('{"cancelled": true}')
        return {}

    def do_query_migrate(self) -> Any:
        if self.side == "destination":
            port = {"port": "1", "host": "127.0.0.1", "type": "inet"}
            return {"status": self.status, "socket-address": [port]}
        if self.status == "active":
            self.polls += 1
            if self.polls > SCRIPT.get("polls", 5):
                self.complete()
        elif self.status == "postcopy-active":
            self.polls += 1
            if self.polls > self.goal:
                SENT.touch()
                self.enter("completed")
        reply: dict[str, Any] = {"status": self.status}
        if self.status == SCRIPT.get("event_alone"):
            reply["status"] = "active"
        if self.status in WITH_RAM:
            reply["ram"] = {
                "transferred": 1_000_000 * self.polls,
                "remaining": 0 if self.status == "completed" else RAM // 2,
                "total": RAM,
                "dirty-sync-count": 3 if self.status == "completed" else 1,
                "dirty-pages-rate": 0,
                "postcopy-requests": 0,
            }
        if self.status == "completed":
            self.polls += 1
            final = self.polls > SCRIPT.get("polls", 5) + 3
            reply |= {"total-time": 1234 if final else 0, "downtime": 7}
        return reply

    def complete(self) -> None:
        wrong = SCRIPT.get("migration_fails")
        if wrong:
            self.enter("failed")
            return
        self.event("MIGRATION_PASS", **{"pass": 2})
        self.paused = not self.running
        if not self.paused:
            self.pause()
        if "pause-before-switchover" in self.capabilities:
            self.enter("pre-switchover")
        else:
            self.hand_over()

    def do_migrate_continue(self) -> Any:
        self.enter("device")
        self.hand_over()
        return {}

    def hand_over(self) -> None:
        self.event("MIGRATION_PASS", **{"pass": 3})
        self.write_handover("completed")
        self.enter("completed")

    def write_handover(self, status: str) -> None:
        draft = Path("handover.draft")
        draft.write_text(
            json.dumps(
                {
                    "ns": self.stopped_ns,
                    "line_ns": self.last_line_ns,
                    "paused": self.paused,
                    "status": status,
                }
            )
        )
        draft.rename(HANDOVER)

    # -- post-copy ----------------------------------------------------------------

    def do_migrate_start_postcopy(self) -> Any:
        if SCRIPT.get("switches"):
            self.goal = self.polls + SCRIPT.get("polls", 5)
            self.pause()
            self.write_handover("postcopy-active")
            self.enter("postcopy-active")
        return {}

    def do_migrate_pause(self) -> Any:
        if self.status != "postcopy-active":
            raise RefusedError("only during postcopy-active")
        BROKEN.touch()
        self.enter("postcopy-paused")
        return {}

    def do_migrate_recover(self) -> Any:
        if self.status != "postcopy-paused":
            raise RefusedError("only when postcopy is paused")
        BROKEN.unlink()
        return {}

    def recover(self) -> Any:
        self.enter("postcopy-recover-setup")
        self.enter("postcopy-recover")
        if SCRIPT.get("recovery_fails"):
            self.enter("postcopy-paused")
        else:
            RESUMED.touch()
            self.goal = self.polls + SCRIPT.get("polls", 5)
            self.enter("postcopy-active")
        return {}

    def follow_postcopy(self) -> None:
        if self.status == "postcopy-active":
            if BROKEN.exists() and not SCRIPT.get("does_not_notice"):
                self.running = False  # at a page that does not come
                self.enter("postcopy-paused")
            elif SENT.exists():
                self.enter("completed")
        elif RESUMED.exists():
            self.running = True
            self.enter("postcopy-active")

    # -- guest --------------------------------------------------------------------

    def now_ns(self) -> int:
        return int((time.monotonic() - self.clock_s) * 1e9)

    def pause(self) -> None:
        self.stopped_ns = self.now_ns()
        self.running = False
        self.event("STOP")

    def resume(self, at_ns: int) -> None:
        self.clock_s = time.monotonic() - at_ns / 1e9
        self.running = True
        self.event("RESUME")

    def tick(self) -> None:
        if self.side == "destination" and self.status == "none" and HANDOVER.exists():
            handed = json.loads(HANDOVER.read_text() or "{}")
            if handed.get("cancelled"):
                sys.stderr.write("load of migration failed: Input/output error\n")
                sys.exit(1)
            if "ns" not in handed:
                return
            self.stopped_ns, self.last_line_ns = handed["ns"], handed["line_ns"]
            if not handed["paused"]:
                self.resume(self.stopped_ns)
            self.enter(handed["status"])
        elif self.side == "destination" and self.status.startswith("postcopy"):
            self.follow_postcopy()
        migrating = self.side == "source" and self.migrate_s
        if self.guest.get("mute") == "migrating" and migrating:
            return
        now_ns = self.now_ns()
        if self.running and now_ns - self.last_line_ns >= LINE_S * 1e9:
            self.print_unit(now_ns)

    def print_unit(self, now_ns: int) -> None:
        if self.guest.get("mute") == self.side:
            return
        self.sweeps += 1
        error = self.guest.get("error")
        if error:
            self.print_line(f"error {error}")
        dt_ns = now_ns - self.last_line_ns
        pages = dt_ns // 10_000
        if self.guest.get("slows"):  # by a fifth every half second
            pages = int(pages * 0.8 ** (now_ns / 5e8))
        self.print_line(
            f"unit cpu=0 t_ns={now_ns} dt_ns={dt_ns} pages={pages} gap_ns=50000 "
            f"bad={self.guest.get('bad', 0)} sweeps={self.sweeps}"
        )
        self.last_line_ns = now_ns

    def print_line(self, text: str) -> None:
        os.write(self.console, f"migstress {text}\r\n".encode())


REST = (
    "rate_pps=0 touch=sweep content=random report_ms=75 page_bytes=4096 base=0 seed=1"
)


def _text(pattern: str, words: str) -> str:
    found = re.search(pattern, words)
    assert found is not None, pattern
    return found[1]


def _number(pattern: str, words: str) -> int:
    return int(_text(pattern, words))


if __name__ == "__main__":
    main()
