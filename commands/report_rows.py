"""Rows of report files, one after the other: CSV, JSON lines and GeoJSON, gzipped or not, however large."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from city.errors import InvalidInput

PIECE: Final = 1 << 16
LONGEST_ROW: Final = 16 << 20
"""Letters of one row; more is no row but a broken file."""
DELIMITERS: Final = ",;\t|"
HEAD: Final = 1 << 16


class Row(NamedTuple):
    """One row: its number (from 1, without a header) and its values, or why it cannot be read."""

    number: int
    values: Mapping[str, Any]
    problem: str | None = None


class RowFile:
    """A file of reports: what it is, and its rows, with how far the reading has come."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InvalidInput("reading.no_file", field="file", path=str(path))
        self.path = path
        self.size = path.stat().st_size
        self.read_bytes = 0
        with self._open_bytes() as file:
            head = file.read(HEAD)
        self.encoding = self._encoding()
        text = head.decode(self.encoding, errors="ignore").lstrip("\ufeff \t\r\n\x1e")
        self.format = _format_of(text, path)

    def rows(self) -> Iterator[Row]:
        """The rows from the first on. A row that cannot be read comes with its problem; reading goes on."""
        with self._open_text() as file:
            yield from _READERS[self.format](file)

    def names(self, rows: int = 200) -> list[str]:
        """The names of the columns, as the first rows have them."""
        found: dict[str, None] = {}
        for row, _ in zip(self.rows(), range(rows), strict=False):
            found.update(dict.fromkeys(_paths(row.values)))
        return list(found)

    @contextmanager
    def _open_bytes(self) -> Iterator[IO[bytes]]:
        with self.path.open("rb") as raw:
            if raw.read(2) == b"\x1f\x8b":
                raw.seek(0)
                with gzip.open(raw) as unpacked:
                    yield unpacked  # type: ignore[misc]
            else:
                raw.seek(0)
                yield raw

    @contextmanager
    def _open_text(self) -> Iterator[IO[str]]:
        with self.path.open("rb") as raw:
            counted = _Counted(raw, self)
            unpacked = gzip.GzipFile(fileobj=counted, mode="rb") if raw.peek(2)[:2] == b"\x1f\x8b" else counted
            with io.TextIOWrapper(
                io.BufferedReader(_Raw(unpacked)), encoding=self.encoding, errors="replace", newline=""
            ) as text:
                yield text

    def _encoding(self) -> str:
        """UTF-8 where all of the file is, else the Western European code page that Excel writes."""
        import codecs

        decoder = codecs.getincrementaldecoder("utf-8")()
        with self._open_bytes() as file:
            try:
                while piece := file.read(PIECE):
                    decoder.decode(piece)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return "cp1252"
            except (OSError, EOFError) as error:
                raise InvalidInput("reading.broken", field="file", path=self.path.name, problem=str(error)) from error
        return "utf-8-sig"


class _Counted:
    """A file whose bytes are counted as they are read."""

    def __init__(self, raw: IO[bytes], owner: RowFile) -> None:
        self._raw, self._owner = raw, owner
        owner.read_bytes = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._raw.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        piece = self._raw.read(size)
        self._owner.read_bytes += len(piece)
        return piece


class _Raw(io.RawIOBase):
    """What `io.BufferedReader` wants of a file, out of a plain `read`."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._source.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """The value of a column, or of a member of a member: `address.street`. None where there is none."""
    if path in values:
        return values[path]
    here: Any = values
    for part in path.split("."):
        if isinstance(here, Mapping):
            here = here.get(part)
        elif isinstance(here, list) and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            return None
    return here


def _paths(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _paths(value, f"{before}{name}.")
        else:
            yield before + str(name)


def _format_of(head: str, path: Path) -> str:
    if not head:
        raise InvalidInput("importing.empty_file", field="file", path=path.name)
    if head.startswith("{"):
        first = head.partition("\n")[0].strip()
        try:
            whole = json.loads(first)
        except ValueError:
            return "geojson"
        is_collection = isinstance(whole, dict) and whole.get("type") == "FeatureCollection"
        return "geojson" if is_collection else "jsonl"
    return "array" if head.startswith("[") else "csv"


# --- the formats -----------------------------------------------------------------------------------------------------


def _csv_rows(file: IO[str]) -> Iterator[Row]:
    head = file.readline()
    rest = iter(file.readline, "")
    delimiter = max(DELIMITERS, key=lambda letter: _columns(head, letter))
    csv.field_size_limit(LONGEST_ROW)
    lines = (line.replace("\0", "") if "\0" in line else line for line in _first_and(head, rest))
    reader = csv.reader(lines, delimiter=delimiter)
    names = [name.strip() for name in next(reader, [])]
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield Row(number, {}, str(error))
            continue
        if not cells:
            continue
        number += 1
        if len(cells) != len(names):
            problem = f"{len(cells)} ≠ {len(names)}"
            yield Row(number, {"": delimiter.join(cells)}, problem)
        else:
            yield Row(number, dict(zip(names, cells, strict=True)))


def _columns(head: str, delimiter: str) -> int:
    return len(next(csv.reader([head], delimiter=delimiter), []))


def _first_and(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _json_lines(file: IO[str]) -> Iterator[Row]:
    number = 0
    for line in file:
        text = line.strip().lstrip("\x1e").strip()
        if not text:
            continue
        number += 1
        yield _json_row(number, text)


def _json_row(number: int, text: str) -> Row:
    try:
        values = json.loads(text)
    except ValueError as error:
        return Row(number, {"": text[:2_000]}, str(error))
    return _row_of(number, values)


def _row_of(number: int, values: Any) -> Row:
    """An object as a row; of a GeoJSON feature its properties and the place of its point."""
    if not isinstance(values, dict):
        return Row(number, {"": json.dumps(values)[:2_000]}, "{…}?")
    if values.get("type") != "Feature":
        return Row(number, values)
    properties = values.get("properties")
    row = dict(properties) if isinstance(properties, dict) else {}
    geometry = values.get("geometry") or {}
    place = geometry.get("coordinates") if isinstance(geometry, dict) and geometry.get("type") == "Point" else None
    if isinstance(place, list) and len(place) >= 2:  # noqa: PLR2004  (longitude and latitude)
        row |= {"geometry.lon": place[0], "geometry.lat": place[1]}
    return Row(number, row)


def _collection(file: IO[str]) -> Iterator[Row]:
    """The features of a collection, or the members of an array, without holding more than one of them."""
    stream = _JsonStream(file)
    stream.find_list()
    for number, values in enumerate(stream.items(), start=1):
        yield _row_of(number, values)


class _JsonStream:
    """Reads the items of one long JSON list piece by piece."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._decoder = json.JSONDecoder()

    def find_list(self) -> None:
        """Go behind the bracket that opens the features, or the whole. Raises InvalidInput where there is none."""
        while self._more():
            if self._text.lstrip("\ufeff \t\r\n").startswith("["):
                self._text = self._text.lstrip("\ufeff \t\r\n")[1:]
                return
            found = re.search(r'"features"\s*:\s*\[', self._text)
            if found:
                self._text = self._text[found.end() :]
                return
            if len(self._text) > LONGEST_ROW:
                break
        raise InvalidInput("importing.no_features", field="file")

    def items(self) -> Iterator[Any]:
        """The items. What is broken ends the file: nothing behind it can be told apart."""
        while True:
            self._text = self._text.lstrip(" \t\r\n,")
            if self._text.startswith("]"):
                return
            try:
                item, end = self._decoder.raw_decode(self._text) if self._text else (None, 0)
            except ValueError as error:
                if len(self._text) > LONGEST_ROW or not self._more():
                    raise InvalidInput("reading.broken", field="file", path="JSON", problem=str(error)) from error
                continue
            if end == 0 or (end == len(self._text) and not isinstance(item, dict)):
                if not self._more():
                    return
                continue
            self._text = self._text[end:]
            yield item

    def _more(self) -> bool:
        # Growing by doubling keeps the work linear where one item is large.
        piece = self._file.read(max(PIECE, len(self._text)))
        self._text += piece
        return bool(piece)


_READERS: Final = {"csv": _csv_rows, "jsonl": _json_lines, "geojson": _collection, "array": _collection}
