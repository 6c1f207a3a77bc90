"""Import old reports in bulk, as if each had come by a citizen, with its own date and without any mail.

A row's reference is made of its content, so an import that was stopped is resumed by starting it again: what is in
already counts as duplicate. A bad row harms nobody and is kept, with the reason, in the file of rejects.
"""

from __future__ import annotations

import csv
import gc
import json
import signal
import threading
import time
import tomllib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from city.database import reading, writing
from city.errors import InvalidInput, LampioneError, OutsideTerritory, Unavailable
from city.registry import view
from city.registry.municipality import Registry
from city.reports import bulk
from city.reports.bulk import REFUSING, Judged, Kept
from city.reports.intake import RENEWALS
from city.texts import operator_language
from commands.report_rows import Row, RowFile, value_at
from commands.report_submissions import Reader
from geo.place import Place

CHUNK: Final = 10_000
"""Rows that are written in one transaction."""
WRITERS: Final = 2
"""Chunks that are written at once."""
GUESSES: Final[dict[str, tuple[str, ...]]] = {
    "text": ("text", "description", "descrizione", "testo", "segnalazione", "messaggio", "body", "summary"),
    "title": ("title", "titolo", "oggetto", "subject"),
    "lon": ("lon", "lng", "longitude", "longitudine", "long", "geometry.lon", "location.lon", "x"),
    "lat": ("lat", "latitude", "latitudine", "geometry.lat", "location.lat", "y"),
    "created_at": ("created_at", "created", "requested_datetime", "data", "date", "data_segnalazione", "data_ora"),
    "category": ("category", "categoria", "service_name", "tipologia", "tipo", "type"),
    "address": ("address", "indirizzo", "via", "location.address"),
    "email": ("email", "e-mail", "mail"),
    "name": ("reporter_name", "nome_segnalante"),
    "phone": ("phone", "telefono", "cellulare"),
}
NEEDED: Final = ("text", "lon", "lat")
PRIVATE: Final = frozenset({"email", "name", "phone"})
"""Read only where the operator says so: who reported is no guess."""


@dataclass
class Outcome:
    """What became of the rows."""

    accepted: int = 0
    duplicate: int = 0
    outside: int = 0
    refused: int = 0
    triage: int = 0
    """Of the accepted, those that wait for a person."""
    columns: dict[str, str] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why rows were outside or refused, and how often."""
    examples: dict[str, str] = field(default_factory=dict)
    """The first sentence given for each reason."""
    rejects: Path | None = None
    is_stopped: bool = False
    seconds: float = 0.0
    """How long it has taken so far."""

    def add(self, taken: _Taken, reject: Reject) -> None:
        """Count what was kept, and put the rejected rows aside."""
        self.accepted += taken.kept.accepted
        self.triage += taken.kept.in_triage
        self.duplicate += taken.kept.repeated
        for row, key, sentence, is_outside in taken.rejected:
            self.outside += is_outside
            self.refused += not is_outside
            self.reasons[key] += 1
            self.examples.setdefault(key, sentence)
            reject(row, sentence)

    @property
    def rows(self) -> int:
        """How many rows were looked at."""
        return self.accepted + self.duplicate + self.outside + self.refused

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "outside": self.outside,
            "refused": self.refused,
            "triage": self.triage,
            "stopped": self.is_stopped,
            "seconds": round(self.seconds, 2),
            "columns": self.columns,
            "reasons": [
                {"reason": key, "count": count, "example": self.examples[key]}
                for key, count in self.reasons.most_common()
            ],
            "rejects": str(self.rejects) if self.rejects else None,
        }


@dataclass(frozen=True)
class Plan:
    """Which file goes where, and how its columns are read."""

    file: RowFile
    municipality: str
    columns: Mapping[str, str]
    categories: Mapping[str, str] = field(default_factory=dict)
    """The file's category → ours; "-" or nothing: the classifier decides."""
    source: str = "import"
    rejects: Path | None = None

    @property
    def rejects_path(self) -> Path:
        """Where rejected rows go: beside the file, unless said otherwise."""
        return self.rejects or self.file.path.with_name(f"{self.file.path.name}.rejects.csv")


def columns_of(file: RowFile, given: str | None) -> dict[str, str]:
    """Which column holds what: as given (`text=Testo,lon=X,…`), the rest guessed by name.

    Raises InvalidInput for an unknown part or column, or where text or place are nowhere to be found.
    """
    names = file.names()
    columns: dict[str, str] = {}
    for part in (part for part in (given or "").split(",") if part.strip()):
        key, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or key not in GUESSES:
            raise InvalidInput("importing.bad_map", field="map", value=part.strip(), known=", ".join(GUESSES))
        if name not in names:
            raise InvalidInput("importing.no_field", field="map", value=name, known=", ".join(names) or "-")
        columns[key] = name
    by_lower = {name.lower(): name for name in reversed(names)}
    for key, guesses in GUESSES.items():
        found = next((by_lower[guess] for guess in guesses if guess in by_lower), None)
        if key not in columns and key not in PRIVATE and found is not None:
            columns[key] = found
    if "text" not in columns and "title" in columns:
        columns["text"] = columns["title"]
    missing = [key for key in NEEDED if key not in columns]
    if missing:
        raise InvalidInput(
            "importing.no_columns", field="map", missing=", ".join(missing), known=", ".join(names) or "-"
        )
    return columns


def read_category_map(path: Path) -> dict[str, str]:
    """What the file's categories are called here. Raises InvalidInput where it is no flat table of strings."""
    try:
        labels = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput("reading.broken", field="category_map", path=path.name, problem=str(error)) from error
    if not all(isinstance(meaning, str) for meaning in labels.values()):
        raise InvalidInput("reading.broken", field="category_map", path=path.name, problem='label = "category"')
    return {label.casefold(): meaning for label, meaning in labels.items()}


def import_reports(plan: Plan, progress: Callable[[int, Outcome], None]) -> Outcome:
    """Take in every row; `progress` hears how many bytes are read and what came of them so far.

    One chunk of rows is judged while those before it are written. Ctrl-C ends it after the chunks at hand, which are
    kept. Raises Unavailable.
    """
    municipality = view.load().municipality(plan.municipality)
    for slug in plan.categories.values():
        if slug != "-" and ":" not in slug and slug not in municipality.categories:
            raise InvalidInput("importing.map_category", field="category_map", value=slug, name=municipality.name)
    begun = time.monotonic()
    outcome = Outcome(columns=dict(plan.columns))
    intake = _Intake(Reader(plan.columns, plan.categories, plan.source, municipality), municipality.id)
    rows = plan.file.rows()
    with (
        _uncollected(),
        _stoppable() as stopping,
        _rejects(plan, outcome) as reject,
        ThreadPoolExecutor(WRITERS) as writer,
    ):

        def settle(written: Future[_Taken]) -> None:
            outcome.add(written.result(), reject)
            outcome.seconds = time.monotonic() - begun
            progress(plan.file.read_bytes, outcome)

        writing: deque[Future[_Taken]] = deque()
        while chunk := [] if stopping.is_set() else list(islice(rows, CHUNK)):
            writing.append(writer.submit(intake.keep, intake.judge(chunk, view.held())))
            if len(writing) == WRITERS:
                settle(writing.popleft())
        for written in writing:
            settle(written)
        outcome.is_stopped = stopping.is_set()
    return outcome


Reject = Callable[[Row, str], None]


class _Rejected(NamedTuple):
    """A row, the key of the reason, and the reason as a sentence."""

    row: Row
    key: str
    sentence: str
    is_outside: bool = False

    @classmethod
    def of(cls, row: Row, error: Exception) -> _Rejected:
        """The row refused for this error."""
        if isinstance(error, LampioneError):
            return cls(row, error.key, error.sentence(operator_language()), isinstance(error, OutsideTerritory))
        return cls(row, type(error).__name__, str(error).strip().split("\n")[0])


@dataclass
class _Taken:
    """What became of some rows."""

    kept: Kept
    rejected: list[_Rejected]

    def __add__(self, other: _Taken) -> _Taken:
        kept = Kept(*(mine + theirs for mine, theirs in zip(astuple(self.kept), astuple(other.kept), strict=True)))
        return _Taken(kept, self.rejected + other.rejected)


@dataclass
class _Batch:
    """Rows, those of them that were judged, how many had come before, and those that cannot be taken in."""

    rows: Sequence[Row]
    judged: Judged
    known: int
    rejected: list[_Rejected]


class _Intake:
    """Judges rows, and keeps what was judged."""

    def __init__(self, reader: Reader, municipality_id: int) -> None:
        self._reader = reader
        self._municipality_id = municipality_id
        self._looks = True
        """Whether rows are looked for among what came before; not while all are new: their claims would tell."""

    def judge(self, rows: Sequence[Row], registry: Registry) -> _Batch:
        """Decide about the rows. Raises Unavailable."""
        municipality = registry.municipalities[self._municipality_id]
        references = [self._reader.reference(row) for row in rows]
        known: set[UUID] = set()
        if self._looks:
            with _database(), reading(municipality.id) as session:
                known = bulk.known(session, municipality.id, references)
            self._looks = bool(known)
        rejected: list[_Rejected] = []
        standing, submissions = [], []
        for row, reference, place in self._placed(rows, references, known, registry, rejected):
            try:
                submissions.append(self._reader.submission(row, place, reference))
                standing.append(row)
            except REFUSING as error:
                rejected.append(_Rejected.of(row, error))
        judged = bulk.judge(submissions, municipality, registry, datetime.now(UTC))
        rejected += [_Rejected.of(standing[position], error) for position, error in judged.refused.items()]
        count = sum(reference in known for reference in references)
        return _Batch(rows, judged, count, sorted(rejected, key=lambda one: one.row.number))

    def _placed(
        self,
        rows: Sequence[Row],
        references: Sequence[UUID],
        known: set[UUID],
        registry: Registry,
        rejected: list[_Rejected],
    ) -> Iterator[tuple[Row, UUID, Place]]:
        """The new ones that are in the municipality."""
        found = []
        for row, reference in zip(rows, references, strict=True):
            if reference in known:
                continue
            try:
                found.append((row, reference, self._reader.place(row)))
            except REFUSING as error:
                rejected.append(_Rejected.of(row, error))
        wanted = registry.municipalities[self._municipality_id]
        for one, there in zip(found, bulk.municipalities_at([place for *_, place in found], registry), strict=True):
            if there is wanted:
                yield one
            elif isinstance(there, LampioneError):
                rejected.append(_Rejected.of(one[0], there))
            else:
                elsewhere = OutsideTerritory("importing.elsewhere", field="place", there=there.name, wanted=wanted.name)
                rejected.append(_Rejected.of(one[0], elsewhere))

    def keep(self, batch: _Batch) -> _Taken:
        """Write what was judged. A row that the database refuses is looked for by halves. Raises Unavailable."""
        try:
            with _database():
                return self._kept(batch)
        except (psycopg.DataError, psycopg.IntegrityError, *REFUSING) as error:
            if isinstance(error, Unavailable):
                raise
            if len(batch.rows) == 1:
                return _Taken(Kept(0, 0, 0), [_Rejected.of(batch.rows[0], error)])
        middle = len(batch.rows) // 2
        first, second = (self.judge(rows, view.held()) for rows in (batch.rows[:middle], batch.rows[middle:]))
        return self.keep(first) + self.keep(second)

    def _kept(self, batch: _Batch) -> _Taken:
        for renewals_left in range(RENEWALS, -1, -1):
            try:
                with writing(self._municipality_id) as session:
                    kept = bulk.keep(session, batch.judged, at_any_version=not renewals_left)
                break
            except bulk.RegistryMoved as moved:
                batch = self.judge(batch.rows, view.at_version(moved.version))
        self._looks = self._looks or kept.repeated > batch.judged.repeated
        return _Taken(replace(kept, repeated=kept.repeated + batch.known), batch.rejected)


@contextmanager
def _database() -> Iterator[None]:
    """Where the database is lost, Unavailable."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise Unavailable("importing.database_lost", problem=str(error).strip().split("\n")[0]) from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """No look for cycles meanwhile: rows make none, and to look again and again took as long as to judge."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; a second Ctrl-C breaks off at once."""
    stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _rejects(plan: Plan, outcome: Outcome) -> Iterator[Reject]:
    """Writes rejected rows: number, reason, and the row as it stood in the file. No reject, no file."""
    path = plan.rejects_path
    path.unlink(missing_ok=True)
    names = plan.file.names()
    opened: list[Any] = []

    def reject(row: Row, reason: str) -> None:
        if not opened:
            file = path.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace")
            opened.extend([file, csv.writer(file)])
            opened[1].writerow(["row", "reason", *names])
            outcome.rejects = path
        cells = [_cell(value_at(row.values, name)) for name in names] if row.problem is None else [*row.values.values()]
        opened[1].writerow([row.number, reason, *cells])

    try:
        yield reject
    finally:
        if opened:
            opened[0].close()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
