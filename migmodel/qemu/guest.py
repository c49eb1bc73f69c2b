"""The stress guest as QEMU is given it: image, kernel, settings."""

from __future__ import annotations

from pathlib import Path

import msgspec

from migmodel.errors import InputError
from migmodel.records.console import REPORT_S
from migmodel.records.scenario import LINE_BYTES, GuestKind, Scenario
from migmodel.units import GIB, MIB, MS_PER_S, PAGE_BYTES, format_bytes

REPORT_MS = round(REPORT_S * MS_PER_S)
BARE_MAX_RAM_BYTES = 3 * GIB
# What a guest needs beside its working set; Linux unpacks itself there as well.
BESIDE_BYTES: dict[GuestKind, int] = {"bare": 16 * MIB, "linux": 256 * MIB}
MAX_VCPUS = 64
_SEED = 1
# As stress/command.py has it, and why; a test compares both.
_LINUX_WORDS = "console=ttyS0 quiet loglevel=1 init_on_free=1 panic=-1"


class GuestImage(msgspec.Struct, frozen=True):
    """A built stress guest.

    Parameters
    ----------
    kind : {'bare', 'linux'}
        Multiboot image, or an initramfs that needs a kernel.
    image : Path
        The multiboot image, or the initramfs.
    kernel : Path or None
        The kernel of the Linux guest.
    """

    kind: GuestKind
    image: Path
    kernel: Path | None = None


def check_guest(scenario: Scenario, image: GuestImage) -> None:
    """Refuse what the stress guest cannot run.

    Raises
    ------
    InputError
        Names what is wrong and what is allowed.
    """
    guest, workload = scenario.guest, scenario.workload
    if image.kind != guest.kind:
        raise InputError(
            f"the scenario asks for the {guest.kind} guest, the image is {image.kind}"
        )
    if image.kind == "linux" and image.kernel is None:
        raise InputError("the Linux guest needs a kernel: --kernel FILE")
    for file in filter(None, (image.image, image.kernel)):
        if not file.is_file():
            raise InputError(f"no such guest image: {file}")
    if workload.working_set_bytes < guest.vcpus * PAGE_BYTES:
        raise InputError(
            "the stress guest touches at least one page a vCPU: give --ws, with a low "
            "--rate for a guest that is nearly idle"
        )
    if guest.vcpus > MAX_VCPUS:
        raise InputError(
            f"the stress guest has at most {MAX_VCPUS} vCPUs, not {guest.vcpus}"
        )
    largest = guest.ram_bytes - BESIDE_BYTES[guest.kind]
    filled = workload.working_set_bytes + workload.still_bytes
    if filled > largest:
        raise InputError(
            f"the {guest.kind} guest needs {format_bytes(BESIDE_BYTES[guest.kind])} "
            f"beside its working set: with {format_bytes(guest.ram_bytes)} of RAM "
            f"--ws and --still together can be {format_bytes(max(largest, 0))} at "
            f"most, not {format_bytes(filled)}"
        )
    if guest.kind == "bare" and guest.ram_bytes > BARE_MAX_RAM_BYTES:
        raise InputError(
            f"the bare guest has at most {format_bytes(BARE_MAX_RAM_BYTES)} of RAM, "
            f"not {format_bytes(guest.ram_bytes)}: use --guest linux"
        )


def guest_argv(
    scenario: Scenario, image: GuestImage, tsc_mhz: float | None
) -> list[str]:
    """QEMU's arguments that load the guest with its settings (stress/README.md).

    They are those of stress/command.py, from a scenario that has been checked.
    """
    workload = scenario.workload
    settings: dict[str, int | str] = {
        "ws": workload.pages * PAGE_BYTES,
        "still": workload.still_pages * PAGE_BYTES,
        "rate": 0 if workload.rate_pps is None else max(1, round(workload.rate_pps)),
        "touch": workload.touch,
        "pattern": workload.pattern,
        "content": workload.content,
        "cpus": scenario.guest.vcpus,
        "report_ms": REPORT_MS,
        "seed": _SEED,
    }
    if workload.compressibility:
        settings["repeat"] = round(workload.compressibility * LINE_BYTES)
    if workload.delta_bytes is not None:
        settings["delta"] = workload.delta_bytes
    if tsc_mhz is not None:
        settings["mhz"] = f"{tsc_mhz:.6f}"
    words = " ".join(f"{name}={value}" for name, value in settings.items())
    if image.kind == "bare":
        return ["-kernel", str(image.image.absolute()), "-append", f"-- {words}"]
    argv = ["-kernel", str(image.kernel and image.kernel.absolute())]
    argv += ["-initrd", str(image.image.absolute())]
    return [*argv, "-append", f"{_LINUX_WORDS} -- {words}"]
