"""What compressing a page costs and leaves, by codec, level and content.

Text content repeats the first bytes of every 64-byte line (docs/nomenclature.md): a
codec with history writes one match a line and the rest as it is. Random bytes do not
shrink. CPU times are host parameters at a few levels; between these they are
interpolated by the level's logarithm of time, and between contents by the share that
repeats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from migmodel.units import PAGE_BYTES

LINE_BYTES = 64
LINES_A_PAGE = PAGE_BYTES // LINE_BYTES
LEVELS: dict[str, tuple[int, ...]] = {"zlib": (1, 6, 9), "zstd": (1, 3, 10, 19)}
CONTENTS = (("random", 0.0), ("text", 0.5), ("zero", 1.0))
GIVEN = ("qatzip", "qpl", "uadk")  # accelerators: speed and ratio as given
STORED_LEVEL = 0  # zlib's: copies
# A packet of 128 pages ends with a flush of the codec: 4 to 5 bytes.
FLUSH_BYTES = 5.0


class CodecCost(NamedTuple):
    """Of one page: bytes that it becomes, CPU time to encode and to decode it [s]."""

    page_bytes: float
    encode_s: float
    decode_s: float


def codec_cost(
    values: Mapping[str, float], codec: str, level: int, repeated: float
) -> CodecCost:
    """Cost of a page in a stream with history.

    Parameters
    ----------
    values : mapping
        Host parameters (docs/nomenclature.md): ``zlib_1_random_s`` and so on.
    codec : str
        zlib, zstd, qatzip, qpl or uadk.
    level : int
        As QEMU takes it.
    repeated : float
        Share of the page that repeats: 0 random, 1 all zero.
    """
    if codec in GIVEN:
        # Their ratio is given for text of which half repeats.
        size = 1 - repeated * 2 * (1 - 1 / values[f"{codec}_ratio"])
        seconds = values[f"{codec}_page_s"]
        return CodecCost(max(size, 0.01) * PAGE_BYTES, seconds, seconds)
    decode_s = _between_contents(values, f"{codec}_decode", repeated)
    if codec == "zlib" and level == STORED_LEVEL:
        return CodecCost(float(PAGE_BYTES), decode_s, decode_s)
    size = PAGE_BYTES * (1 - repeated)
    if 0 < repeated < 1:
        size += LINES_A_PAGE * values[f"{codec}_match_bytes"]
    encode_s = math.exp(_log_encode_s(values, codec, level, repeated))
    return CodecCost(max(min(size, PAGE_BYTES), 1.0), encode_s, decode_s)


def _log_encode_s(
    values: Mapping[str, float], codec: str, level: int, repeated: float
) -> float:
    known = LEVELS[codec]
    times = [
        math.log(_between_contents(values, f"{codec}_{each}", repeated))
        for each in known
    ]
    if level <= known[0]:
        return times[0]
    for index in range(1, len(known)):
        low, high = known[index - 1], known[index]
        if level <= high:
            share = (level - low) / (high - low)
            return times[index - 1] + share * (times[index] - times[index - 1])
    return times[-1]


def _between_contents(
    values: Mapping[str, float], prefix: str, repeated: float
) -> float:
    for (low_name, low), (high_name, high) in pairwise(CONTENTS):
        if repeated <= high:
            share = (repeated - low) / (high - low)
            first = values[f"{prefix}_{low_name}_s"]
            return first + share * (values[f"{prefix}_{high_name}_s"] - first)
    return values[f"{prefix}_{CONTENTS[-1][0]}_s"]
