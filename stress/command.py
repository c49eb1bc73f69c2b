"""What QEMU is told to boot a guest with given settings."""

from __future__ import annotations

from pathlib import Path

from .errors import SettingError

KINDS = ("bare", "linux")
TOUCHES = ("sweep", "study", "page", "read")
PATTERNS = ("sweep", "random")
CONTENTS = ("random", "text", "zero", "delta")
PAGE_BYTES = 4096
TEXT_LINE_BYTES = 64
WORD_BYTES = 8
MAX_CPUS = 64  # MAX_CPUS of workload.h
# The serial port is the workload's, so the kernel keeps silent but for emergencies. It
# zeroes what it frees: else the memory that booting used and left differs from boot to
# boot, and the first pass of a migration with it, by 3 %. A panic does not hang.
LINUX_OPTIONS = "console=ttyS0 quiet loglevel=1 init_on_free=1 panic=-1"


def guest_arguments(
    kind: str,
    image: Path,
    kernel: Path | None = None,
    *,
    ws_bytes: int,
    still_bytes: int = 0,
    rate_pps: int = 0,
    touch: str = "sweep",
    pattern: str = "sweep",
    content: str = "random",
    compressibility: float | None = None,
    delta_bytes: int | None = None,
    cpus: int = 1,
    report_ms: int = 75,
    mhz: float | None = None,
    seed: int = 1,
) -> list[str]:
    """Return the part of QEMU's argv that boots a stress guest.

    Machine, memory, ``-smp`` and the serial port (the guest's lines come over the
    first one) are the caller's.

    Parameters
    ----------
    kind
        ``bare`` or ``linux``.
    image
        What the builder made: an ELF file, or an initramfs.
    kernel
        The Linux kernel; not for ``bare``.
    ws_bytes
        Working set in bytes, over all vCPUs: a multiple of 4096.
    still_bytes
        Memory beside it that is filled alike and then left alone: a multiple of 4096.
    rate_pps
        Pages touched per second, over all vCPUs; 0 is full speed.
    touch
        ``sweep``, ``study``, ``page`` or ``read``, as README.md explains them.
    pattern
        ``sweep`` or ``random``, likewise.
    content
        ``random``, ``text``, ``zero`` or ``delta``, likewise.
    compressibility
        Of ``text``: share of each line that is the same everywhere, a multiple of 1/8
        below 1.
    delta_bytes
        Of ``delta``: bytes of a page that a touch changes, a multiple of 8.
    cpus
        vCPUs that work, one thread each.
    report_ms
        Milliseconds between two lines of a thread, 50 to 1000.
    mhz
        Frequency of the guest's TSC in MHz; by default the guest measures it.
    seed
        Seed of contents and keys.

    Raises
    ------
    SettingError
        A setting that the guest would refuse.
    """
    repeat_bytes = (compressibility or 0.0) * TEXT_LINE_BYTES
    refusals = {
        f"no guest of kind {kind!r}: {' or '.join(KINDS)}": kind not in KINDS,
        f"no touch {touch!r}: one of {', '.join(TOUCHES)}": touch not in TOUCHES,
        f"no pattern {pattern!r}: one of {', '.join(PATTERNS)}": pattern
        not in PATTERNS,
        "touch study sweeps: choose another for pattern random": touch == "study"
        and pattern == "random",
        f"no content {content!r}: one of {', '.join(CONTENTS)}": content
        not in CONTENTS,
        "content text needs its compressibility, and it alone": (content == "text")
        != (compressibility is not None),
        "the compressibility must be a multiple of 1/8 below 1, not "
        f"{compressibility}": repeat_bytes % WORD_BYTES != 0
        or not 0 <= repeat_bytes < TEXT_LINE_BYTES,
        "content delta needs its bytes, and it alone": (content == "delta")
        != (delta_bytes is not None),
        f"a touch changes a multiple of {WORD_BYTES} bytes up to {PAGE_BYTES}, not "
        f"{delta_bytes}": delta_bytes is not None
        and (delta_bytes % WORD_BYTES != 0 or not 0 < delta_bytes <= PAGE_BYTES),
        f"touch page writes a random word: choose another for content {content}": touch
        == "page"
        and content in ("zero", "delta"),
        "the linux guest needs a kernel": kind == "linux" and kernel is None,
        "the bare guest takes no kernel": kind == "bare" and kernel is not None,
        f"vCPUs must be 1 to {MAX_CPUS}, not {cpus}": not 1 <= cpus <= MAX_CPUS,
        f"the working set must be a multiple of {PAGE_BYTES} bytes and at least a page "
        f"a vCPU, not {ws_bytes} bytes": ws_bytes % PAGE_BYTES != 0
        or ws_bytes < max(cpus, 1) * PAGE_BYTES,
        f"memory left still must be a multiple of {PAGE_BYTES} bytes, not "
        f"{still_bytes}": still_bytes % PAGE_BYTES != 0 or still_bytes < 0,
        f"the rate must be 0 to 1000000000 pages/s, not {rate_pps}": not 0
        <= rate_pps
        <= 1_000_000_000,
        f"a line can come every 50 to 1000 ms, not {report_ms}": not 50
        <= report_ms
        <= 1000,
        f"the seed must be 0 or more, not {seed}": seed < 0,
        f"the TSC's frequency must be at least 1 MHz, not {mhz}": mhz is not None
        and mhz < 1,
    }
    for refusal, applies in refusals.items():
        if applies:
            raise SettingError(refusal)
    settings = {
        "ws": str(ws_bytes),
        "still": str(still_bytes),
        "rate": str(rate_pps),
        "touch": touch,
        "pattern": pattern,
        "content": content,
        "cpus": str(cpus),
        "report_ms": str(report_ms),
        "seed": str(seed),
    }
    if repeat_bytes:
        settings["repeat"] = f"{repeat_bytes:.0f}"
    if delta_bytes is not None:
        settings["delta"] = str(delta_bytes)
    if mhz is not None:
        settings["mhz"] = f"{mhz:.6f}"
    words = " ".join(f"{name}={value}" for name, value in settings.items())
    if kind == "bare":
        return ["-kernel", str(image), "-append", f"-- {words}"]
    return [
        *("-kernel", str(kernel), "-initrd", str(image)),
        *("-append", f"{LINUX_OPTIONS} -- {words}"),
    ]
