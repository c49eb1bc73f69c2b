"""The guest's machine while it is migrated: RAM, threads, and who gets which CPU."""

from __future__ import annotations

from migmodel.physics.cpu import Pipeline, share_cpus
from migmodel.physics.throttle import run_share
from migmodel.records import Scenario
from migmodel.sim.guest import Sweeper, collect_dirty, make_sweepers
from migmodel.sim.host import Host
from migmodel.sim.memory import Memory, Stretch
from migmodel.sim.recorder import Recorder
from migmodel.sim.throttle_clock import ThrottleClock
from migmodel.units import GIB, MIB, PAGE_BYTES

# RAM blocks beside the guest's own RAM on -machine q35 without devices: firmware and
# option ROMs, seen as ram.total - RAM with QEMU 7.2 to 10.0.
FIRMWARE_BYTES = 532_480
BARE_BASE_BYTES = 4 * MIB  # where the bare stress guest's working set begins
BARE_OWN_PAGES = 51.0  # its code, stacks and page tables, and the firmware's copy
# A Linux guest's own pages that are not zero: kernel, page tables, caches.
LINUX_OWN_BYTES = 64 * MIB
CLEAR_CHUNK_BYTES = GIB  # x-clear-bitmap-shift 18


def lay_out(scenario: Scenario) -> list[Stretch]:
    """RAM in address order: what is zero, what is the guest's own, whose share."""
    guest, workload = scenario.guest, scenario.workload
    ram = guest.ram_bytes / PAGE_BYTES
    working = float(workload.pages)
    own_bytes = FIRMWARE_BYTES + (LINUX_OWN_BYTES if guest.kind == "linux" else 0)
    own = min(own_bytes / PAGE_BYTES, ram)
    base = min(BARE_BASE_BYTES / PAGE_BYTES, ram - working)
    rest = ram - working - base
    shares = [
        Stretch(pages=working / guest.vcpus, zero=False, vcpu=vcpu)
        for vcpu in range(guest.vcpus if working else 0)
    ]
    own_in_rest = min(max(own - FIRMWARE_BYTES / PAGE_BYTES, 0.0), rest)
    return [
        Stretch(pages=min(BARE_OWN_PAGES, base), zero=False),
        Stretch(pages=max(base - BARE_OWN_PAGES, 0.0), zero=True),
        *shares,
        Stretch(pages=own_in_rest, zero=False),
        Stretch(pages=rest - own_in_rest, zero=True),
        Stretch(pages=FIRMWARE_BYTES / PAGE_BYTES, zero=False),
    ]


class Machine:
    """The guest's threads on the host's CPUs, advanced lazily.

    Between two changes of conditions (throttle, stream, stop) everything runs at
    constant speed, so time is accounted for when somebody looks.
    """

    def __init__(self, scenario: Scenario, host: Host, recorder: Recorder) -> None:
        self.scenario = scenario
        self.host = host
        self.recorder = recorder
        chunk = CLEAR_CHUNK_BYTES / PAGE_BYTES if host.lazy_protection else None
        self.memory = Memory(lay_out(scenario), chunk)
        known = scenario.workload.phase
        phases = [
            host.noise.phase() if known is None else known
            for _ in range(scenario.guest.vcpus)
        ]
        self.sweepers: list[Sweeper] = make_sweepers(
            self.memory, scenario.workload.rate_pps, phases
        )
        self.page_s = host.page_s(scenario)
        self.throttle = ThrottleClock(host["throttle_sleep_extra_s"])
        self.stopped = False
        self._fronts: list[int] = []
        self._front_pps: float | None = None
        self.time_s = 0.0
        self.vcpu_share = 1.0
        self.vcpu_cpu_s = 0.0
        self.stream_pps = 0.0
        self._source_cores = 0.0
        self._destination_cores = 0.0
        self.set_stream(None)

    @property
    def idle(self) -> bool:
        """Nothing is written, whatever time passes."""
        return self.stopped or not self.sweepers

    def _demand(self) -> float:
        """Share of a CPU that each vCPU wants."""
        if self.idle:
            return 0.0
        run = self._run_share()
        if self._front_pps is not None:
            # A thread that waits for its page leaves the CPU to the stream.
            return min(run, self._front_pps * self.page_s)
        pace = self.sweepers[0].pace_pps
        if pace is not None and self.scenario.guest.kind == "linux":
            # A paced Linux thread sleeps when it is ahead; the bare one spins.
            return min(run, pace * self.page_s)
        return run

    @property
    def crowding(self) -> float:
        """How surely a thread that wakes up finds every CPU taken by a vCPU, 0 to 1."""
        busy = len(self.sweepers) * self._demand()
        return min(max(busy - (self.host.cpus - 1), 0.0), 1.0)

    @property
    def running_cores(self) -> float:
        """CPUs that vCPUs keep busy beside the stream, at most all but one."""
        busy = len(self.sweepers) * self._demand()
        return min(busy, max(self.host.cpus - 1, 1.0))

    def set_stream(self, pipeline: Pipeline | None) -> float:
        """Begin, change or end the page stream; its pages/s under competition.

        The caller has advanced the machine to now.
        """
        share, rate = share_cpus(
            self.host.cpus,
            self._demand(),
            len(self.sweepers),
            pipeline,
            self.host.same_host,
        )
        self.vcpu_share = share
        self.stream_pps = rate
        self._source_cores = self._destination_cores = 0.0
        if pipeline is not None:
            self._source_cores = rate * pipeline.source_s
            self._destination_cores = rate * pipeline.destination_s
        return rate

    def follow_stream(self, fronts: list[int], front_pps: float | None) -> None:
        """Hold faulting threads to the pace at which their pages come [pages/s]."""
        self._fronts = fronts
        self._front_pps = front_pps

    def touch_rate_pps(self) -> float:
        """Pages/s that a thread would write now if none were missing."""
        rate = self._run_share() / self._touch_s()
        pace = self.sweepers[0].pace_pps
        return rate if pace is None else min(rate, pace)

    def _run_share(self) -> float:
        extra_s = self.host["throttle_sleep_extra_s"]
        return run_share(self.throttle.percent, extra_s)

    def _running_share(self) -> float:
        """Share of a CPU that a vCPU gets while it is let run.

        One that wants less than its fair share gets a whole CPU when it wants it.
        """
        demand = self._demand()
        if demand <= 0 or self.vcpu_share >= demand * (1 - 1e-6):
            return 1.0
        return self.vcpu_share / demand

    def _touch_s(self) -> float:
        """Time a page now, while the vCPU is let run [s]."""
        copying = self._source_cores + self._destination_cores
        busy = 1.0 + self.host["copy_interference"] * copying
        return self.page_s * busy / self._running_share()

    def advance(self, now_s: float) -> None:
        """Let the guest run until now.

        Its clock stands still while it is stopped, so that a paced thread owes nothing
        for a blackout: QEMU saves the guest's clocks at the stop.
        """
        seconds = now_s - self.time_s
        if seconds <= 0:
            return
        vcpu_cores = 0.0
        if not self.idle:
            run_s = self.throttle.run_time(self.time_s, now_s)
            touch_s = self._touch_s()
            first_s = self.host["first_write_s"] / self._running_share()
            for vcpu, sweeper in enumerate(self.sweepers):
                page_s = touch_s
                if self._front_pps is not None and vcpu in self._fronts:
                    page_s = max(touch_s, 1 / self._front_pps)
                pages = sweeper.advance(seconds, run_s, page_s, first_s)
                self.recorder.work(vcpu, self.time_s, now_s, pages)
            vcpu_cores = self.vcpu_share * len(self.sweepers)
            self.vcpu_cpu_s += seconds * vcpu_cores
        self.recorder.load(
            now_s,
            vcpu_cores,
            self._source_cores,
            self._destination_cores,
        )
        self.time_s = now_s

    def collect_dirty(self) -> float:
        """Merge what was written since the last sync; newly set pages."""
        return collect_dirty(self.memory, self.sweepers)
