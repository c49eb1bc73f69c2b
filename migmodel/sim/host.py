"""A host's numbers as the simulation uses them: nominal, or drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from migmodel.physics.parameters import with_defaults
from migmodel.physics.sync import SyncCost
from migmodel.physics.technique_parameters import TECHNIQUE_PARAMETERS
from migmodel.records import HostProfile, Scenario
from migmodel.units import PAGE_BYTES

_TURNS = 512  # drawn for a level of the throttle; they come again in a longer one


@dataclass(slots=True)
class Noise:
    """What differs from run to run; the nominal run draws nothing.

    Attributes
    ----------
    rng : Generator or None
        None is nominal.
    window_sd : float
        Relative spread of the bandwidth that one 100 ms window sees.
    crowded : float
        Factor of this run on the stream's CPU time while vCPUs leave no CPU idle.
    throttled_sd : float
        Relative spread of what a guest gets done in its turns at one throttle level.
    turn_sd_s : float
        Spread of what one turn of it leaves it to run, from turn to turn [s].
    """

    rng: np.random.Generator | None = None
    window_sd: float = 0.0
    crowded: float = 1.0
    throttled_sd: float = 0.0
    turn_sd_s: float = 0.0

    def turns(self) -> list[float]:
        """What turns leave a throttled guest to run beside the usual [s]; [] none."""
        if self.rng is None or self.turn_sd_s == 0:
            return []
        drawn = self.turn_sd_s * self.rng.standard_normal(_TURNS)
        lucky: list[float] = drawn.tolist()
        return lucky

    def throttled_factor(self) -> float:
        """Factor on a guest's running time at one level of the throttle."""
        if self.rng is None or self.throttled_sd == 0:
            return 1.0
        return float(np.exp(self.throttled_sd * self.rng.standard_normal()))

    def window_factor(self) -> float:
        """Factor on the bandwidth estimate of one window."""
        if self.rng is None or self.window_sd == 0:
            return 1.0
        return float(max(1.0 + self.window_sd * self.rng.standard_normal(), 0.05))

    def happens(self, probability: float) -> bool:
        """Whether something of that probability happens; nominal: if it is likely."""
        if self.rng is None:
            return probability > 0.5
        return bool(self.rng.random() < probability)

    def waiting(self) -> float:
        """A wait for something that comes at random, relative to its mean."""
        return 1.0 if self.rng is None else float(self.rng.exponential())

    def phase(self) -> float:
        """Where in a cycle something starts that is not synchronised to us, 0 to 1."""
        return 0.5 if self.rng is None else float(self.rng.random())


@dataclass(slots=True)
class Host:
    """Parameters of a `HostProfile` (docs/nomenclature.md), after the draw."""

    cpus: float
    same_host: bool
    lazy_protection: bool
    values: Mapping[str, float]
    noise: Noise = field(default_factory=Noise)

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    @property
    def sync_cost(self) -> SyncCost:
        """Cost of a dirty bitmap sync."""
        return SyncCost(
            self["sync_fixed_s"], self["sync_page_s"], self["sync_dirty_page_s"]
        )

    def page_s(self, scenario: Scenario, *, logged: bool = False) -> float:
        """Time in which a vCPU alone on a core touches one page [s].

        All threads together are limited by the host's memory bandwidth.

        Parameters
        ----------
        logged : bool
            While QEMU logs dirty pages, on the source.
        """
        workload = scenario.workload
        touch = workload.touch
        if touch in ("page", "read"):
            return self["page_touch_s"]
        alone = self[f"{touch}_touch_s"]
        if workload.delta_bytes is not None:
            # A touch of a few bytes lies between one word and all of the page.
            part = workload.delta_bytes / PAGE_BYTES
            return self["page_touch_s"] + part * (alone - self["page_touch_s"])
        page_s = max(alone, scenario.guest.vcpus / self["memory_pages_per_s"])
        gain_s = self["logging_gain_s"] if logged else 0.0
        return max(page_s - gain_s, page_s / 2)


def draw_host(profile: HostProfile, rng: np.random.Generator | None = None) -> Host:
    """Take a profile's values, or draw them from what is known of their spread.

    A draw has two parts: the fit's uncertainty (standard errors and correlations), and
    run-to-run noise: one factor on all CPU costs of a run but codecs', which depend on
    caches and have their own, and one on those of a stream that shares every CPU with
    vCPUs, which is the luck of who was put where.

    Parameters
    ----------
    profile : HostProfile
        The host.
    rng : Generator or None
        None: nominal values.
    """
    values = with_defaults(
        {name: item.value for name, item in profile.parameters.items()}
    )
    noise = Noise()
    if rng is not None:
        _draw_fitted(profile, values, rng)
        run = float(np.exp(values["noise_run_sd"] * rng.standard_normal()))
        guest = float(np.exp(values["noise_guest_sd"] * rng.standard_normal()))
        codec = float(np.exp(values["noise_codec_sd"] * rng.standard_normal()))
        zstd = float(np.exp(values["noise_zstd_sd"] * rng.standard_normal()))
        for name in values:
            if name.endswith("_touch_s"):
                values[name] *= guest
            elif name.startswith(_CODECS) and name.endswith("_s"):
                values[name] *= zstd if name.startswith("zstd_") else codec
            elif name in _RUN_COSTS:
                values[name] *= run
        crowded = float(np.exp(values["noise_crowded_sd"] * rng.standard_normal()))
        noise = Noise(
            rng,
            values["noise_window_sd"],
            crowded,
            values["noise_throttled_sd"],
            values["noise_turn_s"],
        )
    return Host(
        cpus=float(profile.host_cpus),
        same_host=profile.same_host,
        lazy_protection=profile.accel == "kvm",
        values=values,
        noise=noise,
    )


_CODECS = ("zlib_", "zstd_", "compress_")
_RUN_COSTS = frozenset(
    {
        "page_source_s",
        "page_destination_s",
        "fresh_page_s",
        "zero_page_source_s",
        "zero_page_destination_s",
        "postcopy_page_s",
        "flush_handoff_s",
        "crowded_flush_s",
        "crowded_wait_s",
        "window_source_s",
        "window_destination_s",
        "stop_s",
        "switch_s",
        "postcopy_switch_s",
        "discard_page_s",
        *(name for name in TECHNIQUE_PARAMETERS if name.endswith("_s")),
    }
)


def _draw_fitted(
    profile: HostProfile, values: dict[str, float], rng: np.random.Generator
) -> None:
    """Draw what is known with an error, within its bounds.

    Of a fit it is normal, since what runs take is a sum of costs, each a parameter
    times a count. (By logarithms, two costs of which only the sum is known would make a
    larger sum in most draws.) As none is below 0, none is drawn above twice what was
    fitted, which leaves the draws centred on that. What was estimated is known up to a
    factor: its logarithm is normal.
    """
    names = [n for n, item in profile.parameters.items() if item.stderr and item.value]
    if not names:
        return
    items = [profile.parameters[n] for n in names]
    value = np.array([item.value for item in items])
    stderr = np.array([item.stderr or 0.0 for item in items])
    lower = np.array([item.lower or 0.0 for item in items])
    upper = np.array([np.inf if item.upper is None else item.upper for item in items])
    matrix = np.eye(len(names))
    for i, first in enumerate(names):
        for j, second in enumerate(names[:i]):
            correlation = profile.correlation.get(first, {}).get(second, 0.0)
            matrix[i, j] = matrix[j, i] = correlation
    # An estimated correlation matrix may miss being positive by rounding.
    eigenvalues, vectors = np.linalg.eigh(matrix)
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    errors = stderr * (root @ rng.standard_normal(len(names)))
    if profile.kind == "fitted":
        drawn = np.clip(value + errors, 0.0, 2 * value)
    else:
        drawn = value * np.exp(errors / value)
    values.update(zip(names, np.clip(drawn, lower, upper).tolist(), strict=True))
