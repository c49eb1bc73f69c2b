"""Tables that grow row by row on disk, so that an interruption loses nothing."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from migmodel.analysis.sweep import Row

if TYPE_CHECKING:
    import pyarrow

SUFFIXES = (".csv", ".parquet")
PARTIAL = ".partial.jsonl"


class RowFile(Protocol):
    """A table on disk, open for rows."""

    rows_path: Path  # where the rows are until all is done

    def append(self, row: Row) -> None:
        """Write one row through to the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def open_rows(path: Path, columns: Sequence[str]) -> RowFile:
    """Open a table for writing, in the format that its suffix names."""
    if path.suffix.lower() == ".parquet":
        return ParquetRows(path, columns)
    return CsvRows(path, columns)


class CsvRows:
    """A CSV file with a header; what is missing is empty."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.rows_path = path
        self._stream = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._stream, columns, lineterminator="\n")
        self._writer.writeheader()
        self._stream.flush()

    def append(self, row: Row) -> None:
        """Write one row through to the file."""
        self._writer.writerow(row)
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()


class ParquetRows:
    """A Parquet file, made at the end of the rows kept beside it until then."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.rows_path = path.with_name(path.name + PARTIAL)
        self._path = path
        self._columns = columns
        self._stream = self.rows_path.open("w", encoding="utf-8")

    def append(self, row: Row) -> None:
        """Write one row through to the file of rows."""
        self._stream.write(json.dumps(row) + "\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()
        if kind is None:
            self._convert()

    def _convert(self) -> None:
        import pyarrow.parquet

        with self.rows_path.open(encoding="utf-8") as stream:
            rows = [json.loads(line) for line in stream]
        table = pyarrow.table(
            {name: _column([row[name] for row in rows]) for name in self._columns}
        )
        # Beside its place and then renamed: a reader never sees half a file.
        unfinished = self.rows_path.with_suffix(".tmp")
        try:
            pyarrow.parquet.write_table(table, unfinished)
            unfinished.replace(self._path)
        finally:
            unfinished.unlink(missing_ok=True)
        self.rows_path.unlink()


def _column(values: Sequence[object]) -> pyarrow.Array:
    import pyarrow

    # A column without any value has no type to be inferred; all such are figures.
    known = any(value is not None for value in values)
    return pyarrow.array(values, type=None if known else pyarrow.float64())
