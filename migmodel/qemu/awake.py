"""CPUs of this host that do not sleep while a migration is measured.

The CPUs of a virtual host are threads of the layer below. One that sleeps may be woken
beside another's work, on the second hardware thread of a core, and stays there for
seconds: what a throttled guest, or a stream between its windows, gets done then is
that neighbour's doing (down to half as much, measured; docs/howto-measure.md). An
open request for no latency keeps them awake (Documentation/power/pm_qos_interface.rst
of Linux 6.12), as real-time measurements do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from migmodel.errors import InputError
from migmodel.qemu.host import may_be_virtual

_REQUESTS = Path("/dev/cpu_dma_latency")
_DRIVER = Path("/sys/devices/system/cpu/cpuidle/current_driver")
_NO_LATENCY_US = bytes(4)  # a 32-bit number


def check_awake(wanted: bool | None) -> None:
    """Refuse to keep CPUs awake where that cannot be.

    Parameters
    ----------
    wanted : bool or None
        None: where it can be, on a host that may be virtual.

    Raises
    ------
    InputError
        Says what is missing.
    """
    missing = _missing() if wanted else None
    if missing is not None:
        raise InputError(f"--keep-awake: {missing}; leave it out")


@contextlib.contextmanager
def cpus_awake(wanted: bool | None) -> Iterator[bool]:
    """Keep this host's CPUs from sleeping; tells whether they are kept.

    The kernel takes the request back when the file is closed, however we end.
    """
    if wanted is None:
        wanted = may_be_virtual() and _missing() is None
    if not wanted:
        yield False
        return
    with _REQUESTS.open("wb", buffering=0) as request:
        request.write(_NO_LATENCY_US)
        yield True


def _missing() -> str | None:
    """Why CPUs cannot be kept awake here; None when they can."""
    try:
        driver = _DRIVER.read_text(encoding="ascii").strip()
    except OSError:
        driver = "none"
    if driver == "none":
        return f"the kernel knows no other way to idle than to sleep ({_DRIVER})"
    if not os.access(_REQUESTS, os.W_OK):
        return f"{_REQUESTS} may be written by root alone"
    return None
