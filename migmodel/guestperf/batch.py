"""guestperf's list of comparisons, by its own names.

Source: QEMU tests/migration-stress/guestperf/comparison.py at 9af3d9a9 and 45f34156.
There compr-xbzrle-cache-20 sets a cache of 10 % by mistake; here it is 20.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from migmodel.errors import InputError
from migmodel.guestperf.report import GuestperfScenario as Tried

BANDWIDTHS = {"100mbs": 12, "300mbs": 37, "1gbs": 125, "10gbs": 1250, "100gbs": 12500}
_PASSES = (0, 1, 5, 20)


def comparisons() -> dict[str, list[Tried]]:
    """Each comparison's scenarios, in guestperf's order."""
    return {
        "pause-iters": [
            Tried(name=f"pause-iters-{n}", pause=True, pause_iters=n) for n in _PASSES
        ],
        "post-copy-bandwidth": [
            Tried(name=f"post-copy-bw-{word}", post_copy=True, bandwidth=rate)
            for word, rate in BANDWIDTHS.items()
        ],
        "post-copy-iters": [
            Tried(name=f"post-copy-iters-{n}", post_copy=True, post_copy_iters=n)
            for n in _PASSES
        ],
        "auto-converge-iters": [
            Tried(
                name=f"auto-converge-step-{step}",
                auto_converge=True,
                auto_converge_step=step,
            )
            for step in (5, 10, 20)
        ],
        "auto-converge-bandwidth": [
            Tried(name=f"auto-converge-bw-{word}", auto_converge=True, bandwidth=rate)
            for word, rate in BANDWIDTHS.items()
        ],
        "compr-mt": [
            Tried(
                name=f"compr-mt-threads-{n}",
                compression_mt=True,
                compression_mt_threads=n,
            )
            for n in (1, 2, 4)
        ],
        "compr-xbzrle": [
            Tried(
                name=f"compr-xbzrle-cache-{percent}",
                compression_xbzrle=True,
                compression_xbzrle_cache=percent,
            )
            for percent in (5, 10, 20, 50)
        ],
        "compr-multifd": [
            Tried(name=f"compr-multifd-channels-{n}", multifd=True, multifd_channels=n)
            for n in (4, 8, 32, 64)
        ],
        "compr-dirty-limit-period": [
            Tried(
                name=f"compr-dirty-limit-period-{ms}",
                dirty_limit=True,
                x_vcpu_dirty_limit_period=ms,
            )
            for ms in (500, 800, 1000)
        ],
        "compr-dirty-limit": [
            Tried(
                name=f"compr-dirty-limit-{rate}MB",
                dirty_limit=True,
                vcpu_dirty_limit=rate,
            )
            for rate in (10, 20, 50)
        ],
        "compr-multifd-compression": [
            Tried(
                name=f"compr-multifd-compression-{codec}",
                multifd=True,
                multifd_channels=2,
                multifd_compression=codec,
            )
            for codec in ("zlib", "zstd", "qpl", "uadk")
        ],
    }


def chosen(pattern: str) -> Iterator[tuple[str, Tried]]:
    """Comparison and scenario of each name that a pattern fits.

    Parameters
    ----------
    pattern : str
        As guestperf-batch's ``--filter``, of ``comparison/scenario``; here it may also
        fit the scenario's name alone.

    Raises
    ------
    InputError
        When it fits none.
    """
    found = False
    for comparison, scenarios in comparisons().items():
        for scenario in scenarios:
            names = (scenario.name, f"{comparison}/{scenario.name}")
            if any(fnmatchcase(name, pattern) for name in names):
                found = True
                yield comparison, scenario
    if not found:
        raise InputError(
            f"--batch: no scenario fits '{pattern}'; comparisons are "
            + ", ".join(comparisons())
        )
