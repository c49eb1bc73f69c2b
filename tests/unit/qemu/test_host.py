from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from migmodel.errors import InputError
from migmodel.qemu import host
from migmodel.qemu.binary import QemuBinary
from migmodel.qemu.cpu import PROCESS, ProcessCpu, others_s, vcpu_s
from migmodel.units import GIB, MIB


def test_a_guest_must_fit_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    overhead = 2 * host.QEMU_OVERHEAD_BYTES
    monkeypatch.setattr(host, "available_memory_bytes", lambda: 4 * GIB + overhead)
    host.check_memory(2 * GIB)
    with pytest.raises(InputError, match=r"needs .* but only .* are free"):
        host.check_memory(2 * GIB + MIB)


def test_a_cgroup_limits_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(f"{600 * MIB}\n")
    (tmp_path / "memory.current").write_text(f"{300 * MIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {100 * MIB}\n")
    monkeypatch.setattr(host, "_cgroup_folders", lambda: [tmp_path])
    assert host.available_memory_bytes() == 400 * MIB
    (tmp_path / "memory.max").write_text("max\n")
    assert host.available_memory_bytes() > 400 * MIB


@pytest.mark.parametrize(
    ("flags", "virtual"),
    [("fpu sse2 hypervisor lm", True), ("fpu sse2 lm", False), (None, True)],
)
def test_a_virtual_host_shows_in_its_cpus_flags(
    monkeypatch: pytest.MonkeyPatch, flags: str | None, virtual: bool
) -> None:
    monkeypatch.setattr(host, "_cpuinfo", {"flags": flags}.get)
    assert host.may_be_virtual() is virtual


@pytest.mark.parametrize("flags", [True, False])
def test_facts_tell_whether_kvm_would_emulate(
    monkeypatch: pytest.MonkeyPatch, flags: bool
) -> None:
    monkeypatch.setattr(host, "has_hardware_virtualization", lambda: flags)
    monkeypatch.setattr(host, "busy_share", lambda: 0.0)
    qemu = QemuBinary(Path("qemu"), (10, 0), "10.0")
    assert host.host_facts(qemu, "kvm").hardware_virtualization is flags
    assert host.host_facts(qemu, "kvm").emulates is not flags
    assert not host.host_facts(qemu, "tcg").emulates


def test_the_tsc_is_measured_repeatably() -> None:
    first, second = host.tsc_mhz(), host.tsc_mhz()
    if first is None or second is None:
        pytest.skip("this host's time-stamp counter cannot be read")
    assert first == pytest.approx(second, rel=1e-3)
    assert 100 < first < 10_000


def test_own_cpu_time_is_seen() -> None:
    cpu = ProcessCpu(os.getpid())
    before, used_before = cpu.sample(), time.process_time()
    deadline = time.process_time() + 0.05
    while time.process_time() < deadline:
        pass
    after, used_after = cpu.sample(), time.process_time()
    seen = after[PROCESS] - before[PROCESS]
    assert seen == pytest.approx(used_after - used_before, rel=0.5)


def test_a_process_that_is_gone_has_no_sample() -> None:
    assert ProcessCpu(2**22 - 1).sample() == {}


def test_vcpus_are_told_from_the_rest() -> None:
    sample = {PROCESS: 5.0, "CPU 0/TCG": 1.0, "CPU 1/TCG": 2.0, "qemu-system-x86": 0.5}
    assert vcpu_s(sample) == 3.0
    # Threads that have ended count in the process alone.
    assert others_s(sample) == 2.0
