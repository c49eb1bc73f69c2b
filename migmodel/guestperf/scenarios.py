"""guestperf's way to describe a migration, and ours."""

from __future__ import annotations

from math import ceil

from migmodel.guestperf.report import GuestperfScenario, Hardware, Report
from migmodel.records import (
    DEFAULT_QEMU,
    Guest,
    Limits,
    Link,
    Policy,
    Scenario,
    Workload,
)
from migmodel.records.parameters import PARAMETERS, ParameterValue, parse_version
from migmodel.records.policy import TECHNIQUE_CAPABILITY, Technique
from migmodel.records.scenario import Scope
from migmodel.units import GIB, MIB, MS_PER_S

EXTRA_RAM_MIB = 512  # engine.py: -m mem * 1024 + 512
MIN_XBZRLE_CACHE_BYTES = 4096
# dst_host of a migration within one host. By an address guestperf takes it for another
# one and goes over ssh, but its CPUs are the same.
LOCALHOST = "localhost"
_THIS_HOST = (LOCALHOST, "127.0.0.1", "::1")


def scenario_of(
    scenario: GuestperfScenario,
    hardware: Hardware,
    *,
    transport: str = "unix",
    dst_host: str | None = None,
    qemu_version: str = DEFAULT_QEMU,
) -> Scenario:
    """Say in our words what guestperf did.

    Its guest is Linux; stress.c XORs every byte of the memory with one fixed array,
    which is our `study` touch. It acts when dirty-sync-count *reaches* N, in the
    N-th pass, where ours acts when N passes are complete: N - 1 of ours (0 and 1 are
    the same). Where its destination was says whether both sides shared a host's CPUs;
    where that is not known (None), the profile does.

    Raises
    ------
    InputError
        When migmodel does not model what it did.
    """
    return Scenario(
        name=scenario.name,
        guest=Guest(
            ram_bytes=round(hardware.mem * 1024 + EXTRA_RAM_MIB) * MIB,
            vcpus=hardware.cpus,
            kind="linux",
            dirty_ring_size=hardware.dirty_ring_size or None,
        ),
        workload=Workload(working_set_bytes=round(hardware.mem * GIB), touch="study"),
        link=Link(
            transport=transport,  # type: ignore[arg-type]
            scope=None if dst_host is None else scope_of(dst_host),
        ),
        policy=policy_of(scenario, hardware, qemu_version),
        limits=Limits(max_time_s=scenario.max_time, max_iters=scenario.max_iters),
        qemu_version=qemu_version,
    )


def scope_of(dst_host: str) -> Scope:
    """Whether a destination on that host shares the source's."""
    return "same-host" if dst_host in _THIS_HOST else "two-hosts"


def policy_of(
    scenario: GuestperfScenario, hardware: Hardware, qemu_version: str = DEFAULT_QEMU
) -> Policy:
    """The technique and QEMU's parameters of a guestperf scenario.

    guestperf can switch several on at once: the one that acts last, on the guest, is
    the technique, the others are capabilities beside it.
    """
    on: dict[Technique, bool] = {
        "postcopy": scenario.post_copy,
        "pause": scenario.pause,
        "autoconverge": scenario.auto_converge,
        "dirtylimit": scenario.dirty_limit,
        "multifd": scenario.multifd,
        "compress": scenario.compression_mt,
        "xbzrle": scenario.compression_xbzrle,
    }
    techniques = [name for name, state in on.items() if state]
    after = None
    if scenario.post_copy or scenario.pause:
        passes = (
            scenario.post_copy_iters if scenario.post_copy else scenario.pause_iters
        )
        after = max(passes - 1, 0)
    parameters: dict[str, ParameterValue] = {
        "max-bandwidth": scenario.bandwidth * MIB,
        "downtime-limit": scenario.downtime,
    }
    if scenario.auto_converge:
        # its name until 2.6 (qapi-schema.json)
        prefix = "x-" if parse_version(qemu_version) < (2, 7) else ""
        step = scenario.auto_converge_step
        parameters[f"{prefix}cpu-throttle-increment"] = step
    if scenario.compression_mt:
        parameters["compress-threads"] = scenario.compression_mt_threads
        parameters["decompress-threads"] = scenario.compression_mt_threads
    if scenario.compression_xbzrle:
        percent = scenario.compression_xbzrle_cache
        parameters["xbzrle-cache-size"] = xbzrle_cache_bytes(percent, hardware.mem)
    if scenario.multifd:
        parameters["multifd-channels"] = scenario.multifd_channels
        if scenario.multifd_compression:
            parameters["multifd-compression"] = scenario.multifd_compression
    if scenario.dirty_limit:
        parameters["x-vcpu-dirty-limit-period"] = scenario.x_vcpu_dirty_limit_period
        parameters["vcpu-dirty-limit"] = scenario.vcpu_dirty_limit
    return Policy(
        technique=techniques[0] if techniques else "precopy",
        after_passes=after,
        parameters=parameters,
        capabilities={
            TECHNIQUE_CAPABILITY[name]: True
            for name in techniques[1:]
            if name in TECHNIQUE_CAPABILITY
        },
    )


def xbzrle_cache_bytes(percent: int, mem_gib: float) -> int:
    """A percentage of the guest's memory as a size that QEMU takes.

    QEMU up to 2.11 rounds a size down to a power of two itself, later ones refuse any
    other, and guestperf sends them a fraction: rounding down runs on both.
    """
    wanted = int(mem_gib * GIB * percent / 100)
    return max(1 << max(wanted, 1).bit_length() - 1, MIN_XBZRLE_CACHE_BYTES)


def described(scenario: Scenario) -> tuple[Hardware, GuestperfScenario]:
    """Say in guestperf's words what ours is, as far as it has words for it."""
    policy, limits = scenario.policy, scenario.limits
    own = policy.all_capabilities
    number = policy.all_parameters.get
    after = 5 if policy.after_passes is None else policy.after_passes + 1
    mem = scenario.workload.working_set_bytes / GIB
    defaults = GuestperfScenario()
    bandwidth = policy.max_bandwidth_bytes_per_s
    throttle = "cpu-throttle-increment"
    step = number(throttle, number(f"x-{throttle}", PARAMETERS[throttle].default))
    codec = str(number("multifd-compression", ""))
    ring = scenario.guest.dirty_ring_size or 0
    percent = defaults.compression_xbzrle_cache
    if own.get("xbzrle") and mem:
        percent = ceil(100 * int(number("xbzrle-cache-size", 64 * MIB)) / (mem * GIB))
    threads = defaults.compression_mt_threads
    if own.get("compress"):
        threads = int(number("compress-threads", 8))
    hardware = Hardware(cpus=scenario.guest.vcpus, mem=mem, dirty_ring_size=ring)
    return hardware, GuestperfScenario(
        name=scenario.name or "migmodel",
        downtime=round(policy.downtime_limit_s * MS_PER_S),
        bandwidth=round(bandwidth / MIB) if bandwidth else defaults.bandwidth,
        max_iters=limits.max_iters or defaults.max_iters,
        max_time=round(limits.max_time_s or defaults.max_time),
        pause=policy.technique == "pause",
        pause_iters=after if policy.technique == "pause" else defaults.pause_iters,
        post_copy=own.get("postcopy-ram", False),
        post_copy_iters=(
            after if policy.technique == "postcopy" else defaults.post_copy_iters
        ),
        auto_converge=own.get("auto-converge", False),
        auto_converge_step=int(step),
        compression_mt=own.get("compress", False),
        compression_mt_threads=threads,
        compression_xbzrle=own.get("xbzrle", False),
        compression_xbzrle_cache=percent,
        multifd=own.get("multifd", False),
        multifd_channels=int(number("multifd-channels", 2)),
        multifd_compression="" if codec == "none" else codec,
        dirty_limit=own.get("dirty-limit", False),
        x_vcpu_dirty_limit_period=int(number("x-vcpu-dirty-limit-period", 1000)),
        vcpu_dirty_limit=int(number("vcpu-dirty-limit", 1)),
    )


def reported_scenario(report: Report, qemu_version: str = DEFAULT_QEMU) -> Scenario:
    """The scenario of a guestperf report."""
    return scenario_of(
        report.scenario,
        report.hardware,
        transport=report.transport,
        dst_host=report.dst_host,
        qemu_version=qemu_version,
    )
