"""Tables that grow row by row on disk, so that an interruption loses nothing."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from migmodel.analysis.sweep import Row

if TYPE_CHECKING:
    import pyarrow

SUFFIXES = (".csv", ".parquet")
PARTIAL = ".partial.jsonl"


class RowFile(ABC):
    """A table on disk, open for rows.

    Parameters
    ----------
    rows_path : Path
        Where the rows are until all is done.
    """

    def __init__(self, rows_path: Path) -> None:
        self.rows_path = rows_path
        self._stream = rows_path.open("w", newline="", encoding="utf-8")

    def append(self, row: Row) -> None:
        """Write one row through to the file."""
        self._write(row)
        self._stream.flush()

    @abstractmethod
    def _write(self, row: Row) -> None: ...

    @abstractmethod
    def _finish(self) -> None: ...

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
            self._finish()


def open_rows(path: Path, columns: Sequence[str]) -> RowFile:
    """Open a table for writing, in the format that its suffix names."""
    if path.suffix.lower() == ".parquet":
        return ParquetRows(path, columns)
    return CsvRows(path, columns)


class CsvRows(RowFile):
    """A CSV file with a header; what is missing is empty."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        super().__init__(path)
        self._writer = csv.DictWriter(self._stream, columns, lineterminator="\n")
        self._writer.writeheader()
        self._stream.flush()

    def _write(self, row: Row) -> None:
        self._writer.writerow(row)

    def _finish(self) -> None:
        """Do nothing: the rows are the table."""


class ParquetRows(RowFile):
    """A Parquet file, made at the end of the rows kept beside it until then."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        super().__init__(path.with_name(path.name + PARTIAL))
        self._path = path
        self._columns = columns

    def _write(self, row: Row) -> None:
        self._stream.write(json.dumps(row) + "\n")

    def _finish(self) -> None:
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
