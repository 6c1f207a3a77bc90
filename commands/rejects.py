"""The file of rejected rows: number, reason, and the row as it stood. No reject, no file."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from city.texts import said
from commands.report_rows import value_at


class Rejects:
    """What was rejected, and why: counted, and written as it comes."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self._names = names
        self._file: Any = None
        self._writer: Any = None

    def __len__(self) -> int:
        return self.reasons.total()

    def note(self, number: int, key: str, values: Mapping[str, Any], **blanks: object) -> None:
        """Reject row `number`: `key` is the sentence in the catalogue."""
        self.reasons[key] += 1
        if self._file is None:
            self._file = self.path.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace")
            self._writer = csv.writer(self._file)
            self._writer.writerow(["row", "reason", *self._names])
        cells = list(values.values()) if "" in values else [_cell(value_at(values, name)) for name in self._names]
        self._writer.writerow([number, said(key, **blanks), *cells])

    def close(self) -> None:
        """No more will come."""
        if self._file is not None:
            self._file.close()


@contextmanager
def rejects_in(path: Path, names: Sequence[str]) -> Iterator[Rejects]:
    """The rejects of one import; an earlier one's are thrown away."""
    path.unlink(missing_ok=True)
    rejects = Rejects(path, names)
    try:
        yield rejects
    finally:
        rejects.close()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
