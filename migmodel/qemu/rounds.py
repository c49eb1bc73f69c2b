"""Passes over the guest's memory, from bitmap syncs and samples of the counters."""

from __future__ import annotations

import numpy as np

from migmodel.qemu.story import Story
from migmodel.records.trace import Phases, Progress, Round
from migmodel.units import PAGE_BYTES

_PAGE_ON_WIRE_BYTES = 8 + PAGE_BYTES  # QEMU migration/ram.c:save_normal_page


def rounds(story: Story, phases: Phases, progress: Progress) -> list[Round]:
    """Passes as the MIGRATION_PASS events delimit them.

    What was sent by then is interpolated between samples. What was pending right
    after a sync is what the first sample in the pass shows plus what had been sent
    since the sync; a pass too short for a sample takes what the last one before it
    leaves and the next one shows, whichever is nearer in time.
    """
    syncs = story.passes
    if not syncs or not story.samples:
        return []
    sample_s = np.array([0.0, *(at for at, _ in story.samples)])
    sent = np.array([0.0, *(it["ram"]["transferred"] for _, it in story.samples)])
    total_bytes = float(story.samples[0][1]["ram"]["total"])
    ends = [at for _, at in syncs[1:]] + [max(phases.end_s, syncs[-1][1])]
    found = []
    for (index, start_s), end_s in zip(syncs, ends, strict=True):
        sent_at = np.interp([start_s, end_s], sample_s, sent)
        found.append(
            Round(
                index=index,
                start_s=start_s,
                end_s=end_s,
                pending_bytes=(
                    total_bytes
                    if index == 1
                    else _pending_bytes(progress, index, start_s, float(sent_at[0]))
                ),
                sent_bytes=float(sent_at[1] - sent_at[0]),
            )
        )
    return found


def _pending_bytes(
    progress: Progress, index: int, start_s: float, sent_before: float
) -> float:
    for row, count in enumerate(progress.dirty_sync_count):
        if count == index:
            sent_since = max(progress.transferred_bytes[row] - sent_before, 0.0)
            pages = sent_since / _PAGE_ON_WIRE_BYTES
            return progress.remaining_bytes[row] + pages * PAGE_BYTES
    if not progress.time_s:
        return 0.0
    nearest = min(
        range(len(progress.time_s)), key=lambda row: abs(progress.time_s[row] - start_s)
    )
    return progress.remaining_bytes[nearest]
