"""The accelerator: KVM where it really works, else TCG."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Literal

from migmodel.errors import InputError
from migmodel.qemu.binary import QemuBinary
from migmodel.records.scenario import Workload

Accel = Literal["tcg", "kvm"]
ACCELS: tuple[Accel, ...] = ("tcg", "kvm")
OLDEST_TCG = (9, 0)
_TRY_TIMEOUT_S = 20.0


def choose_accel(qemu: QemuBinary, override: str | None = None) -> Accel:
    """Choose the accelerator that guests run with.

    KVM is taken when the CPU has hardware virtualization and QEMU can make a machine
    with it: /dev/kvm may open on a host that only emulates, where guests crawl.

    Parameters
    ----------
    override : {'kvm', 'tcg'} or None
        What the user asks for.

    Raises
    ------
    InputError
        When the override is unknown, or KVM is asked for and does not work.
    """
    if override is not None and override not in ACCELS:
        raise InputError(f"'{override}' is no accelerator; it is one of tcg, kvm")
    if override == "tcg":
        return "tcg"
    if override == "kvm":
        refusal = kvm_refusal(qemu)
        if refusal is not None:
            raise InputError(f"KVM does not work here ({refusal}); use --accel tcg")
        return "kvm"
    if has_hardware_virtualization() and kvm_refusal(qemu) is None:
        return "kvm"
    return "tcg"


def check_rates(override: str | None) -> None:
    """Refuse a KVM that emulates, where rates are to be fitted.

    Raises
    ------
    InputError
        When KVM is asked for on a CPU without hardware virtualization.
    """
    if override == "kvm" and not has_hardware_virtualization():
        raise InputError(
            "--accel kvm: this CPU has neither vmx nor svm, so KVM can but emulate "
            "here, at rates that hold on no other host; calibrate with --accel tcg, or "
            "on a host with hardware virtualization"
        )


def loses_dirty_pages(qemu: QemuBinary, accel: Accel) -> bool:
    """Whether this QEMU forgets pages that the guest has written.

    TCG before QEMU 9.0 clears dirty bits without resetting the vCPUs' TLBs (fixed by
    QEMU commit 03bfc2188f): such a migration converges falsely and corrupts the guest.
    """
    return accel == "tcg" and qemu.version < OLDEST_TCG


def check_dirty_tracking(qemu: QemuBinary, accel: Accel, workload: Workload) -> None:
    """Refuse a guest that writes on a QEMU that would lose its dirty pages.

    Raises
    ------
    InputError
        Says what to use instead.
    """
    if loses_dirty_pages(qemu, accel) and workload.touch != "read":
        raise InputError(
            f"QEMU {qemu.release} loses dirty pages under TCG, so a writing guest "
            "cannot be measured with it; use QEMU 9.0 or newer, --accel kvm, or a "
            "guest that only reads: --touch read"
        )


def has_hardware_virtualization() -> bool:
    """Whether this CPU has VMX or SVM."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not {"vmx", "svm"}.isdisjoint(flags.split())


def kvm_refusal(qemu: QemuBinary) -> str | None:
    """Why QEMU cannot make a machine with KVM here; None when it can."""
    argv = [str(qemu.path), "-nodefaults", "-no-user-config", "-display", "none"]
    argv += ["-machine", "q35", "-m", "16", "-accel", "kvm", "-S", "-qmp", "stdio"]
    try:
        tried = subprocess.run(
            argv,
            input='{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n',
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TRY_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if tried.returncode == 0:
        return None
    said = tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"]
    return said[-1]
