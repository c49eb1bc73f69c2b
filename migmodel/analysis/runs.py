"""Runs from files: Measurements of ours, and guestperf's reports."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec

from migmodel.errors import RecordError
from migmodel.guestperf.reading import measurement_of
from migmodel.guestperf.report import is_report, parse_report
from migmodel.records import (
    DEFAULT_QEMU,
    HostFacts,
    HostProfile,
    Measurement,
    Prediction,
)
from migmodel.records.files import read_record

NOT_NOTED = "not noted"


def facts_from(profile: HostProfile, qemu_version: str = "") -> HostFacts:
    """Facts of a host of which only a profile is known: guestperf notes none."""
    return HostFacts(
        cpu_model=profile.facts.get("cpu", NOT_NOTED),
        cpus=profile.host_cpus,
        memory_bytes=None,
        kernel=NOT_NOTED,
        qemu_version=qemu_version or NOT_NOTED,
        accel=profile.accel,
    )


def read_any(
    path: Path, profile: HostProfile, qemu_version: str | None = None
) -> Measurement | Prediction:
    """Read a Measurement, a Prediction or a guestperf report, whichever it is.

    Parameters
    ----------
    path : Path
        ``*.json`` or ``*.json.gz``.
    profile : HostProfile
        The host that a guestperf report was made on; the report does not say.
    qemu_version : str or None
        The QEMU that it was made with; None: the newest.

    Raises
    ------
    RecordError
        When it is none of these.
    """
    document = _document(path)
    if is_report(document):
        report = parse_report(document, str(path))
        facts = facts_from(profile, qemu_version or "")
        return measurement_of(report, facts, qemu_version or DEFAULT_QEMU)
    if isinstance(document, dict) and "completes_probability" in document:
        return read_record(path, Prediction)
    if isinstance(document, dict) and "trace" in document:
        return read_record(path, Measurement)
    raise RecordError(
        f"{path} is neither a Measurement, nor a Prediction (predict --json), nor a "
        "guestperf report"
    )


def read_run(
    path: Path, profile: HostProfile, qemu_version: str | None = None
) -> Measurement:
    """Read a Measurement or a guestperf report; see `read_any`."""
    found = read_any(path, profile, qemu_version)
    if isinstance(found, Prediction):
        raise RecordError(f"{path} is a Prediction, not a run: nothing was measured")
    return found


def _document(path: Path) -> object:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        document: object = msgspec.json.decode(data)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecordError(f"cannot read {path}: {reason}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is not JSON: {error}") from None
    return document
