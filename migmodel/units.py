"""The only conversion factors, and text to number and back.

Sizes are binary (``1m`` is 2**20 bytes), bandwidths decimal (``1g`` is 10**9 bit/s),
as the options of QEMU, virsh and network equipment have them.
"""

from __future__ import annotations

import re

from migmodel.errors import InputError

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
PAGE_BYTES = 4096  # x86 target page; QEMU migrates in these
BITS_PER_BYTE = 8
MS_PER_S = 1000.0
US_PER_S = 1e6
NS_PER_S = 1e9

_HUGE = 1e18
_NUMBER = r"(?P<number>\d+(?:\.\d*)?|\.\d+)"
_SIZE_FACTORS = {"": GIB, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
_DECIMAL = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_BINARY = {"": 1.0, "k": float(KIB), "m": float(MIB), "g": float(GIB)}
_SIZE = re.compile(rf"{_NUMBER}\s*(?P<prefix>[kmgt]?)(?P<unit>b|ib)?", re.IGNORECASE)
_BANDWIDTH = re.compile(
    rf"{_NUMBER}\s*(?P<prefix>[kmgt]?)(?P<binary>i?)"
    r"(?P<unit>bit/s|bits/s|bps|bit|byte/s|bytes/s|b/s|)",
    re.IGNORECASE,
)
_DURATION = re.compile(rf"{_NUMBER}\s*(?P<unit>ms|s|m|min|h|)", re.IGNORECASE)
_DURATION_FACTORS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
UNLIMITED_WORDS = ("unlimited", "0", "none")


def parse_bytes(text: str) -> int:
    """Read a memory size.

    Parameters
    ----------
    text : str
        ``8`` (GiB), ``512m``, ``1.5G``, ``64KiB``, ``4096b``; prefixes are binary.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    InputError
        When the text is no positive size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"not a size: '{text}'; write it like 8 (GiB), 512m or 1.5g")
    prefix = match["prefix"].lower()
    bare_bytes = prefix == "" and (match["unit"] or "").lower() == "b"
    factor = 1 if bare_bytes else _SIZE_FACTORS[prefix]
    number = float(match["number"])
    if number > _HUGE:
        raise InputError(f"too large for a size: {text[:24]}...")
    value = round(number * factor)
    if value <= 0:
        raise InputError(f"a size must be greater than zero, not '{text}'")
    return value


def parse_bandwidth(text: str) -> int:
    """Read a bandwidth.

    Parameters
    ----------
    text : str
        ``1g`` and ``10gbit`` are decimal bits per second; ``125MB/s`` decimal and
        ``128MiB/s`` binary bytes per second; ``unlimited`` is 0, as QEMU has it.

    Returns
    -------
    int
        Bytes per second; 0 means unlimited.

    Raises
    ------
    InputError
        When the text is no bandwidth.
    """
    stripped = text.strip()
    if stripped.lower() in UNLIMITED_WORDS:
        return 0
    match = _BANDWIDTH.fullmatch(stripped)
    if match is None or (match["binary"] and not match["prefix"]):
        raise InputError(
            f"not a bandwidth: '{text}'; write it like 1g or 10gbit (bit/s), "
            "125MB/s (bytes/s) or unlimited"
        )
    # "B/s" are bytes as soon as the slash is there: nobody writes Gb/s for QEMU's MB/s
    # without meaning bits, so the lower-case b/s is taken as bits.
    unit = match["unit"]
    in_bytes = unit.lower().startswith("byte") or unit in ("B/s", "B/S")
    scale = (_BINARY if match["binary"] else _DECIMAL)[match["prefix"].lower()]
    number = float(match["number"])
    if number > _HUGE:
        raise InputError(f"too large for a bandwidth: {text[:24]}...")
    value = number * scale / (1 if in_bytes else BITS_PER_BYTE)
    if value < 1:
        raise InputError(f"a bandwidth must be at least 1 byte/s, not '{text}'")
    return round(value)


def parse_duration(text: str) -> float:
    """Read a time span.

    Parameters
    ----------
    text : str
        ``300ms``, ``2s``, ``5m`` (minutes), ``1h``; a bare number is seconds.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    InputError
        When the text is no time span.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise InputError(f"not a time: '{text}'; write it like 300ms, 2s, 5m or 1h")
    return float(match["number"]) * _DURATION_FACTORS[match["unit"].lower() or "s"]


def format_bytes(value: float) -> str:
    """Write a size with a binary prefix, e.g. ``1.5 GiB``."""
    for factor, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if abs(value) >= factor:
            return f"{_short(value / factor)} {name}"
    return f"{value:.0f} B"


def _short(value: float) -> str:
    """Three digits, but never an exponent."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def format_bandwidth(bytes_per_s: float) -> str:
    """Write a bandwidth in decimal bits per second; 0 is ``unlimited``."""
    if bytes_per_s == 0:
        return "unlimited"
    bits = bytes_per_s * BITS_PER_BYTE
    for factor, name in ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if bits >= factor:
            return f"{bits / factor:.4g} {name}"
    return f"{bits:.0f} bit/s"


def format_duration(seconds: float) -> str:
    """Write a time span with a unit that suits its size."""
    if 0 < seconds < 1e-4:
        return f"{_short(seconds * US_PER_S)} us"
    if seconds < 1:
        return f"{_short(seconds * MS_PER_S)} ms"
    if seconds < 120:
        return f"{_short(seconds)} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
