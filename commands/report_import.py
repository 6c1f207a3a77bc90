"""Import old reports through intake, as if each had come by a citizen, with its own date and without any mail.

A row's reference is made of its content, so an import that was stopped is resumed by starting it again: what is in
already counts as duplicate. A bad row harms nobody and is kept, with the reason, in the file of rejects.
"""

from __future__ import annotations

import csv
import json
import re
import signal
import threading
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy import select

from city.database import WriteSession, writing
from city.errors import InvalidInput, LampioneError, OutsideTerritory, Unavailable
from city.registry import view
from city.registry.view import MunicipalityView
from city.reports.checks import LONGEST_ADDRESS, checked
from city.reports.intake import EARLIEST, Contact, Submission, receive
from city.reports.tables import ClientRequest
from city.texts import operator_language
from commands.report_rows import Row, RowFile, value_at
from geo.place import Place

BATCH: Final = 200
NAMESPACE: Final = UUID("b1a0c8a2-1f0b-5a36-8d0e-3b8f2f9b7f60")
"""Makes the client references of imported rows."""

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

DATE_FORMATS: Final = (
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y",
    "%d.%m.%Y",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%Y-%m-%d %H:%M:%S %Z",
    "%a, %d %b %Y %H:%M:%S %z",
)


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

    def note(self, key: str, sentence: str) -> None:
        """Count one more row rejected for this reason."""
        self.reasons[key] += 1
        self.examples.setdefault(key, sentence)

    @property
    def rows(self) -> int:
        """How many rows were looked at."""
        return self.accepted + self.duplicate + self.outside + self.refused

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

    Ctrl-C ends it after the batch at hand, which is kept.
    """
    municipality = view.load().municipality(plan.municipality)
    for slug in plan.categories.values():
        if slug != "-" and ":" not in slug and slug not in municipality.categories:
            raise InvalidInput("importing.map_category", field="category_map", value=slug, name=municipality.name)
    outcome = Outcome(columns=dict(plan.columns))
    reader = _Reader(plan, municipality)
    rows = plan.file.rows()
    with _stoppable() as stopping, _rejects(plan, outcome) as reject:
        while batch := list(islice(rows, BATCH)):
            _take_batch(batch, reader, municipality, outcome, reject)
            progress(plan.file.read_bytes, outcome)
            if stopping.is_set():
                outcome.is_stopped = True
                break
    return outcome


def places_in(file: RowFile, columns: Mapping[str, str]) -> list[Place]:
    """The places of all rows that have one."""
    places = []
    for row in file.rows():
        try:
            places.append(_place(row, columns))
        except LampioneError:
            continue
    return places


# --- a batch ---------------------------------------------------------------------------------------------------------


Reject = Callable[[Row, str], None]


class _NeedsCare(Exception):
    """A row broke the transaction of its batch: once more, each behind its own savepoint."""


def _take_batch(
    batch: Sequence[Row], reader: _Reader, municipality: MunicipalityView, outcome: Outcome, reject: Reject
) -> None:
    """One transaction. Counts only what was kept: the counts are added once it is. Raises Unavailable."""
    try:
        try:
            taken = _taken(batch, reader, municipality, careful=False)
        except _NeedsCare:
            taken = _taken(batch, reader, municipality, careful=True)
    except psycopg.OperationalError as error:
        raise Unavailable("importing.database_lost", problem=str(error).strip().split("\n")[0]) from error
    for name, count in taken.counts.items():
        setattr(outcome, name, getattr(outcome, name) + count)
    for row, key, sentence in taken.rejected:
        outcome.note(key, sentence)
        reject(row, sentence)


@dataclass
class _Taken:
    """What became of one batch."""

    counts: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[Row, str, str]] = field(default_factory=list)
    """The row, the key of the reason and the reason as a sentence."""


def _taken(batch: Sequence[Row], reader: _Reader, municipality: MunicipalityView, *, careful: bool) -> _Taken:
    taken = _Taken()
    with writing(municipality.id) as session:
        there = _known(session, municipality.id, [reader.reference(row) for row in batch])
        for row in batch:
            if reader.reference(row) in there:
                taken.counts["duplicate"] += 1
                continue
            try:
                with session.raw.transaction() if careful else nullcontext():
                    received = receive(session, reader.submission(row))
            except LampioneError as error:
                # Raised before anything of the row was written.
                taken.counts["outside" if isinstance(error, OutsideTerritory) else "refused"] += 1
                taken.rejected.append((row, error.key, error.sentence(operator_language())))
            except psycopg.OperationalError:
                raise
            except (psycopg.Error, ValueError, TypeError, OverflowError) as error:
                if not careful:
                    raise _NeedsCare from error
                taken.counts["refused"] += 1
                taken.rejected.append((row, type(error).__name__, str(error).strip().split("\n")[0]))
            else:
                taken.counts["duplicate" if received.is_repeat else "accepted"] += 1
                taken.counts["triage"] += not received.is_repeat and received.answer["state"] == "triage"
    return taken


def _known(session: WriteSession, municipality_id: int, references: Sequence[UUID]) -> set[UUID]:
    return set(
        session.scalars(
            select(ClientRequest.reference).where(
                ClientRequest.municipality_id == municipality_id, ClientRequest.reference.in_(references)
            )
        )
    )


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


# --- a row -----------------------------------------------------------------------------------------------------------


class _Reader:
    """Makes submissions of rows."""

    def __init__(self, plan: Plan, municipality: MunicipalityView) -> None:
        self._columns = plan.columns
        self._source = plan.source
        self._map = plan.categories
        self._municipality = municipality
        self._now = datetime.now(UTC)
        self._named = {
            name.casefold(): slug
            for slug, category in municipality.categories.items()
            if category.is_active
            for name in (slug, category.name.it, category.name.en)
        }

    def reference(self, row: Row) -> UUID:
        """The same for the same content in the same municipality, whichever file or order it comes in."""
        content = json.dumps(row.values, sort_keys=True, default=str)
        return uuid5(NAMESPACE, f"{self._municipality.slug}\n{content}")

    def submission(self, row: Row) -> Submission:
        """The row as a submission. Raises InvalidInput, OutsideTerritory where it is elsewhere."""
        if row.problem is not None:
            raise InvalidInput("importing.unreadable_row", field="row", problem=row.problem)
        place = _place(row, self._columns)
        found = view.held().at(checked(place))
        if found.id != self._municipality.id:
            raise OutsideTerritory(
                "importing.elsewhere", field="place", there=found.name, wanted=self._municipality.name
            )
        return Submission(
            place=place,
            description=self._text(row, "text") or self._text(row, "title") or "",
            category=self._category(row),
            address=(self._text(row, "address") or "")[:LONGEST_ADDRESS] or None,
            contact=self._contact(row),
            client_reference=self.reference(row),
            created_at=self._created_at(row),
            source=self._source,
        )

    def _text(self, row: Row, key: str) -> str | None:
        value = value_at(row.values, self._columns[key]) if key in self._columns else None
        if value is None or isinstance(value, dict | list):
            return None
        return str(value).replace("\0", "").strip() or None

    def _category(self, row: Row) -> str | None:
        """Our category for the row's, where it is known; else the classifier decides."""
        label = self._text(row, "category")
        if label is None:
            return None
        mapped = self._map.get(label.casefold())
        if mapped is not None:
            return mapped if mapped in self._municipality.choices else None
        return self._named.get(label.casefold())

    def _contact(self, row: Row) -> Contact:
        email = self._text(row, "email")
        # A report is not lost for a mistyped address, which nobody will write to anyway.
        usable = email if email and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email) else None
        return Contact(email=usable, name=self._text(row, "name"), phone=self._text(row, "phone"))

    def _created_at(self, row: Row) -> datetime:
        written = self._text(row, "created_at")
        if written is None:
            return self._now
        moment = read_moment(written, self._municipality.time_zone)
        if not EARLIEST <= moment <= datetime.now(UTC):
            raise InvalidInput("importing.bad_date", field="created_at", value=written)
        return moment


def _place(row: Row, columns: Mapping[str, str]) -> Place:
    return Place(*(_degrees(row, columns, key) for key in ("lon", "lat")))


def _degrees(row: Row, columns: Mapping[str, str], key: str) -> float:
    value = value_at(row.values, columns[key])
    if value is None or str(value).strip() == "" or isinstance(value, bool):
        raise InvalidInput("importing.no_place", field=key)
    try:
        return float(str(value).strip().replace(",", "."))
    except ValueError:
        raise InvalidInput("importing.bad_place", field=key, value=str(value)[:40]) from None


def read_moment(written: str, time_zone: ZoneInfo) -> datetime:
    """A date as people and programs write it; without a zone it is the municipality's. Raises InvalidInput."""
    moment = _parsed(written)
    if moment is None:
        raise InvalidInput("importing.bad_date", field="created_at", value=written[:40])
    return (moment if moment.tzinfo else moment.replace(tzinfo=time_zone)).astimezone(UTC)


def _parsed(written: str) -> datetime | None:
    if re.fullmatch(r"1\d{9}(\d{3})?(\.\d+)?", written):
        seconds = float(written) / (1000 if len(written.partition(".")[0]) > 10 else 1)  # noqa: PLR2004
        return datetime.fromtimestamp(seconds, UTC)
    tidy = written.removesuffix(" UTC") + "+00:00" if written.endswith(" UTC") else written
    try:
        return datetime.fromisoformat(tidy)
    except ValueError:
        pass
    for form in DATE_FORMATS:
        try:
            return datetime.strptime(written, form)  # noqa: DTZ007  (the zone is added by who asked)
        except ValueError:
            continue
    return None
