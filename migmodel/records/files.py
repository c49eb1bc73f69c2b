"""Records to files and back: JSON, gzip when the name says so, written atomically."""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from migmodel.errors import InputError, RecordError
from migmodel.records.allowed import allowed_at

RecordT = TypeVar("RecordT")


def read_record(path: Path, kind: type[RecordT]) -> RecordT:
    """Read one record.

    Parameters
    ----------
    path : Path
        ``*.json`` or ``*.json.gz``.
    kind : type
        The record's class.

    Raises
    ------
    RecordError
        When the file is missing, is no JSON, or does not hold such a record.
    """
    label = kind.__name__
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecordError(f"cannot read {path}: {reason}") from None
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        allowed = allowed_at(kind, str(error))
        raise RecordError(f"{path} is no valid {label}: {error}{allowed}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is not JSON: {error}") from None
    except InputError as error:
        raise RecordError(f"{path} is no valid {label}: {error}") from None


def write_record(path: Path, record: Any) -> None:
    """Write one record atomically, so that a reader never sees half of it.

    Raises
    ------
    RecordError
        When the file cannot be written.
    """
    data = msgspec.json.encode(record)
    if path.suffix == ".gz":
        data = gzip.compress(data, compresslevel=6, mtime=0)
    else:
        data = msgspec.json.format(data, indent=1)
    write_bytes(path, data)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: a temporary beside it, synced, then renamed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
