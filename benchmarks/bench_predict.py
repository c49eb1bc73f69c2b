"""How fast a prediction is: medians, and ratios that hold on any machine.

Run it with ``python benchmarks/bench_predict.py``. It asserts nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

from migmodel.analysis.profiles import load_profile
from migmodel.records import Guest, Limits, Policy, Scenario, Workload
from migmodel.records.parameters import DEFAULT_QEMU
from migmodel.sim.simulate import draw_host, simulate
from migmodel.units import GIB, MIB, MS_PER_S, TIB

RUNS = 31
GBIT_BYTES_PER_S = 125_000_000
COMMAND = (sys.executable, "-m", "migmodel.cli.main", "predict", "--mem", "8")
COMMAND_OPTIONS = ("--bw", "1g", "--policy", "autoconverge")
PREEMPT = {"postcopy-preempt": True}


def scenario(
    technique: str,
    ram_bytes: int,
    bandwidth: int,
    *,
    working_set_bytes: int | None = None,
    max_time_s: float | None = None,
    capabilities: dict[str, bool] | None = None,
    qemu_version: str = DEFAULT_QEMU,
) -> Scenario:
    """Describe a migration of a guest at full speed."""
    working = ram_bytes if working_set_bytes is None else working_set_bytes
    return Scenario(
        guest=Guest(ram_bytes=ram_bytes),
        workload=Workload(working_set_bytes=working),
        policy=Policy(
            technique=technique,
            parameters={"max-bandwidth": bandwidth},
            capabilities=capabilities or {},
        ),
        limits=Limits(max_time_s=max_time_s),
        qemu_version=qemu_version,
    )


def usual(technique: str, **options: Any) -> Scenario:
    """A guest of 8 GiB at 1 Gbit/s."""
    return scenario(technique, 8 * GIB, GBIT_BYTES_PER_S, **options)


def techniques() -> dict[str, Scenario]:
    """The usual guest by every kind of technique that is simulated differently."""
    plain = ("precopy", "pause", "autoconverge", "postcopy")
    others = ("xbzrle", "multifd", "multifd-zstd", "downtime-tuning")
    described = {name: usual(name) for name in (*plain, *others)}
    described["postcopy, preempt"] = usual("postcopy", capabilities=PREEMPT)
    # The last QEMU that has it is 9.0.
    described["compress"] = usual("compress", qemu_version="9.0")
    return described


def median_ms(described: Scenario) -> float:
    """Median time of a nominal simulation [ms]."""
    profile = load_profile()
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        simulate(described, draw_host(profile))
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * MS_PER_S


def cold_s(*options: str) -> float:
    """Median time of the command from a cold interpreter [s]."""
    times = []
    for _ in range(7):
        begin = time.perf_counter()
        subprocess.run(
            [*COMMAND, *COMMAND_OPTIONS, *options],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    times = {name: median_ms(each) for name, each in techniques().items()}
    auto_ms = times["autoconverge"]
    print(f"8 GiB auto-converge at 1 Gbit/s, nominal, in the library: {auto_ms:.1f} ms")
    for name, ms in times.items():
        print(f"8 GiB {name}: {ms:.1f} ms, {ms / auto_ms:.2f} x auto-converge")

    # The same passes: bandwidth in proportion to RAM, below what the CPUs can send.
    small = scenario("precopy", GIB, 2 * MIB, max_time_s=20_000)
    large = scenario("precopy", 16 * TIB, 2 * MIB * 16_384, max_time_s=20_000)
    small_ms, large_ms = median_ms(small), median_ms(large)
    print(f"16 TiB against 1 GiB, bandwidth in proportion: {large_ms / small_ms:.2f} x")

    slow = 10 * MIB
    idle = scenario("autoconverge", TIB, slow, working_set_bytes=0)
    plain = scenario("precopy", TIB, slow, working_set_bytes=0)
    ratio = median_ms(idle) / median_ms(plain)
    print(f"idle background syncs, with against without: {ratio:.2f} x")

    print(f"migmodel predict --nominal, cold: {cold_s('--nominal'):.2f} s")
    print(f"migmodel predict, 64 draws, cold: {cold_s():.2f} s")


if __name__ == "__main__":
    main()
