"""What compressing a page costs and leaves, by codec, level and content.

Text content repeats the first bytes of every 64-byte line (docs/nomenclature.md): a
codec with history writes one match a line and the rest as it is. Random bytes do not
shrink. CPU times are host parameters at a few levels; between these they follow the
library's own curve. They fall linearly with the share that repeats; random content,
in which a codec finds nothing to begin with, is a case of its own.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from typing import NamedTuple

from migmodel.units import PAGE_BYTES

LINE_BYTES = 64
LINES_A_PAGE = PAGE_BYTES // LINE_BYTES
LEVELS: dict[str, tuple[int, ...]] = {"zlib": (1, 6, 9), "zstd": (1, 3, 6, 9, 19)}
TEXT = 0.5  # of text that repeats, where a host's parameters are for it
GIVEN = ("qatzip", "qpl", "uadk")  # accelerators: speed and ratio as given
STORED_LEVEL = 0  # zlib's: copies
# A packet of 128 pages ends with a flush of the codec: 4 to 5 bytes.
FLUSH_BYTES = 5.0
_LEAST_S = 1e-9
# Microseconds a page from level 1 on: zlib 1.2.13, zstd 1.5.4, streams of packets as
# multifd makes them, one core of an EPYC of 2.6 GHz; zstd's 14 and 17 are interpolated.
# Only the shape is used: it jumps where a level has another strategy or larger tables.
_ZLIB_RANDOM = (74.7, 74.8, 73.7, 76.8, 77.5, 76.8, 77.1, 77.5, 78.1)
_ZLIB_TEXT = (42.2, 43.1, 43.9, 61.2, 49.4, 55.8, 59.1, 101.0, 140.0)
_ZSTD_RANDOM = (
    *(2.55, 2.52, 3.38, 3.93, 13.6, 13.7, 19.3, 19.2, 43.0, 65.7),
    *(62.4, 91.7, 68.4, 74.2, 80.6, 524.0, 545.0, 566.0, 629.0),
)
_ZSTD_TEXT = (
    *(6.57, 8.08, 17.9, 22.2, 35.1, 39.6, 61.4, 54.4, 74.6, 104.0),
    *(163.0, 205.0, 396.0, 432.0, 472.0, 728.0, 801.0, 881.0, 1024.0),
)
CURVES = {
    "zlib": (_ZLIB_RANDOM, _ZLIB_TEXT),
    "zstd": (_ZSTD_RANDOM, _ZSTD_TEXT),
}


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
    decode_s = _of_content(values, f"{codec}_decode", repeated)
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
    """Along the library's own curve, by the factor that this host needs at it."""
    known = LEVELS[codec]
    curve = CURVES[codec][0 if repeated == 0 else 1]
    level = min(max(level, known[0]), known[-1])
    index = max(bisect.bisect_left(known, level), 1)
    low, high = known[index - 1], known[index]
    share = (level - low) / (high - low)
    factor = 0.0
    for each, weight in ((low, 1 - share), (high, share)):
        if weight:  # a level that is known hangs on no other
            seconds = _of_content(values, f"{codec}_{each}", repeated)
            factor += weight * (math.log(seconds) - math.log(curve[each - 1]))
    return math.log(curve[level - 1]) + factor


def _of_content(values: Mapping[str, float], prefix: str, repeated: float) -> float:
    """Random bytes are given up early; all else is linear in what repeats."""
    if repeated == 0:
        return values[f"{prefix}_random_s"]
    text, zero = values[f"{prefix}_text_s"], values[f"{prefix}_zero_s"]
    return max(text + (repeated - TEXT) / (1 - TEXT) * (zero - text), _LEAST_S)
