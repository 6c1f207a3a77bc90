"""Many old reports at once: judged side by side in memory, kept by a handful of statements.

What is decided of each is what `intake` decides, by the same functions; only what looks at one report at a time there
(zones, words, rules) looks at many here. Nobody waits for an answer: no near duplicates are looked for, no job is
promised, and of the first answer only so much is kept as cannot be judged anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import numpy as np
from psycopg import Connection, sql

from city.database import ReadSession, WriteSession
from city.errors import LampioneError
from city.registry.ground import zone_sets
from city.registry.municipality import CategoryView, MunicipalityView, Registry, ZoneView
from city.reports import judging, trained
from city.reports.checks import checked
from city.reports.identity import new_ids
from city.reports.judging import Judgement, Said, Submission
from city.reports.routing import Routing, route
from geo.place import Place

Refusal = LampioneError | ValueError | TypeError | OverflowError
"""Why one submission cannot be taken in: our sentence, or what Python says of values that nobody has foreseen."""


REFUSING: Final = (LampioneError, ValueError, TypeError, OverflowError)


class RegistryMoved(Exception):
    """The registry is not the one that was judged by: judge again, by `version`."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


@dataclass(slots=True)
class Judged:
    """What was decided of many submissions to one municipality, and the rows to be written."""

    municipality: MunicipalityView
    version: int
    now: datetime
    refused: dict[int, Refusal] = field(default_factory=dict)
    """By position among the submissions."""
    repeated: int = 0
    """Submissions whose reference is that of one before them."""
    in_triage: set[UUID] = field(default_factory=set)
    """The reports that wait for a person."""
    own: list[tuple[Any, ...]] = field(default_factory=list)
    """For each report its own columns (`own_columns`), then as in `_STAGED_OWN`."""
    settled: list[tuple[Any, ...]] = field(default_factory=list)
    """Columns that many of them share (`settled_columns`), then the details for the timeline and a running number."""
    own_columns: tuple[str, ...] = ()
    settled_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """How many were taken in, how many of these wait for a person, and how many had come before."""

    accepted: int
    in_triage: int
    repeated: int


def municipalities_at(places: Sequence[Place], registry: Registry) -> list[MunicipalityView | LampioneError]:
    """For each place what `Registry.at` says of it, be it an error."""
    degrees = _degrees(places)
    possible = np.isfinite(degrees).all(axis=1) & degrees.any(axis=1)
    found = np.full(len(places), -1)
    found[possible] = registry.ids_at(*degrees[possible].T)
    return [
        registry.municipalities[one] if one >= 0 else _at(place, registry)
        for one, place in zip(found.tolist(), places, strict=True)
    ]


def _at(place: Place, registry: Registry) -> MunicipalityView | LampioneError:
    try:
        return registry.at(checked(place))
    except LampioneError as error:
        return error


def _degrees(places: Sequence[Place]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(places, np.float64).reshape(-1, 2)


# --- judging ---------------------------------------------------------------------------------------------------------


def judge(
    submissions: Sequence[Submission], municipality: MunicipalityView, registry: Registry, now: datetime
) -> Judged:
    """Decide about old reports whose places are known to be in `municipality`, in memory.

    Each has its own date and a client reference, and no photos.
    """
    judged = Judged(municipality, registry.version, now)
    usable = list(_usable(submissions, judged))
    said = _classify([submission.description for _, submission in usable], municipality)
    degrees = _degrees([submission.place for _, submission in usable])
    met = zone_sets(municipality, degrees[:, 0], degrees[:, 1], municipality.local(now).date())
    ids = [tuple(zone.id for zone in zones) for zones in met.sets]
    zones = [ids[which] for which in met.which.tolist()]
    settling = _Settling(judged)
    for (position, submission), report_id, of_text, zone_ids in zip(
        usable, new_ids(len(usable)), said, zones, strict=True
    ):
        try:
            settling.settle(submission, report_id, of_text, zone_ids)
        except REFUSING as error:
            judged.refused[position] = error.with_traceback(None)
    return judged


def _usable(submissions: Iterable[Submission], judged: Judged) -> Iterator[tuple[int, Submission]]:
    """Those that can be worked with, cleaned, and their positions; under each reference the first."""
    seen = set()
    for position, submission in enumerate(submissions):
        if submission.client_reference in seen:
            judged.repeated += 1
            continue
        try:
            cleaned = judging.clean(submission)
            judging.check(cleaned, judged.municipality, judged.now)
        except REFUSING as error:
            judged.refused[position] = error.with_traceback(None)
        else:
            seen.add(submission.client_reference)
            yield position, cleaned


def _classify(texts: Sequence[str], municipality: MunicipalityView) -> list[Said]:
    try:
        classifier = trained.classifier()
        if classifier is None:
            return [(None, "triage.no_classifier")] * len(texts)
        return [(said, None) for said in classifier.classify_many(texts, municipality.choices)]
    except Exception:  # noqa: BLE001  (whatever it is, it must not spoil what is said of the others)
        return [judging.classify(text, municipality) for text in texts]


class _Settling:
    """Fills in the rows. What was settled once for a category in some zones is settled for all."""

    def __init__(self, judged: Judged) -> None:
        self._judged = judged
        self._zones: dict[tuple[int, ...], list[ZoneView]] = {}
        self._routings: dict[tuple[str, tuple[int, ...]], Routing] = {}
        self._settled: dict[tuple[object, ...], int] = {}

    def settle(self, submission: Submission, report_id: UUID, said: Said, zone_ids: tuple[int, ...]) -> None:
        """Judge one and write its row down. Raises InvalidInput."""
        judged = self._judged
        zones = self._zones.get(zone_ids)
        if zones is None:
            zones = self._zones[zone_ids] = [judged.municipality.zones[one] for one in zone_ids]
        judgement = judging.concluded(
            submission, judged.municipality, said, zones, lambda category: self._routing(category, zone_ids, zones)
        )
        row = judging.own(submission, judgement, report_id, judged.now)
        judged.own_columns = judged.own_columns or tuple(row)
        contact = submission.contact
        judged.own.append(
            (
                *row.values(),
                submission.client_reference,
                submission.fingerprint(),
                judging.json_text(judging.own_details(judgement)),
                contact.email,
                contact.name,
                contact.phone,
                self._settled_as(judgement, zone_ids),
            )
        )
        if judgement.triage_reason:
            judged.in_triage.add(report_id)

    def _routing(self, category: CategoryView, zone_ids: tuple[int, ...], zones: list[ZoneView]) -> Routing:
        routing = self._routings.get((category.slug, zone_ids))
        if routing is None:
            routing = route(self._judged.municipality, category, zones, self._judged.now)
            self._routings[category.slug, zone_ids] = routing
        return routing

    def _settled_as(self, judgement: Judgement, zone_ids: tuple[int, ...]) -> int:
        key = (judgement.category.slug, judgement.decided_by, judgement.triage_reason, zone_ids)
        number = self._settled.get(key)
        if number is None:
            number = self._settled[key] = len(self._settled)
            row = judging.settled(judgement, self._judged.now)
            details = judging.json_text(judging.settled_details(judgement))
            self._judged.settled_columns = tuple(row)
            self._judged.settled.append((*row.values(), details, number))
        return number


# --- keeping ---------------------------------------------------------------------------------------------------------


def known(session: ReadSession, municipality_id: int, references: Sequence[UUID]) -> set[UUID]:
    """Those of the references that have come before."""
    found = session.raw.execute(
        "SELECT reference FROM client_request WHERE municipality_id = %s AND reference = ANY(%s)",
        (municipality_id, list(references)),
    )
    return {row[0] for row in found}


def keep(session: WriteSession, judged: Judged, *, at_any_version: bool = False) -> Kept:
    """Write what was judged: claims on the references, reports with their numbers, reporters, timeline.

    What somebody else takes in meanwhile is waited for, and left out. Raises RegistryMoved, so that nothing is kept,
    unless the registry may be `at_any_version`.
    """
    connection = session.raw
    lost = _write(connection, judged) if judged.own else set()
    row = connection.execute("SELECT version FROM registry_version").fetchone()
    assert row is not None
    if row[0] != judged.version and not at_any_version:
        raise RegistryMoved(row[0])
    return Kept(len(judged.own) - len(lost), len(judged.in_triage - lost), judged.repeated + len(lost))


def _write(connection: Connection[Any], judged: Judged) -> set[UUID]:
    """The ids of those that had come before after all."""
    for statement in _STAGES:
        connection.execute(_filled(statement, judged), prepare=False)
    _copy(connection, "staged_settled", (*judged.settled_columns, *_STAGED_SETTLED), judged.settled)
    _copy(connection, "staged_own", (*judged.own_columns, *_STAGED_OWN), judged.own)
    connection.execute("ANALYZE staged_settled")
    year = judged.municipality.local(judged.now).year
    values = {"municipality_id": judged.municipality.id, "number_start": f"{judged.municipality.prefix}-{year}-"}
    lost: set[UUID] = set()
    if connection.execute(_CLAIM, values).rowcount < len(judged.own):
        lost = {row[0] for row in connection.execute(_LEAVE_OUT, values)}
    for statement in (_REPORTS, _REPORTERS, _TIMELINE):
        connection.execute(_filled(statement, judged), values)
    return lost


def _copy(connection: Connection[Any], table: str, columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    target = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _listed(columns))
    with connection.cursor().copy(target) as copy:
        for row in rows:
            copy.write_row(row)


def _filled(statement: LiteralString, judged: Judged) -> sql.Composed:
    """The statement with the report's columns."""
    settled, own = _listed(judged.settled_columns), _listed(judged.own_columns)
    return sql.SQL(statement).format(settled=settled, own=own)


def _listed(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


_STAGED_SETTLED: Final = ("settled_details", "settled_as")
_STAGED_OWN: Final = ("reference", "request_hash", "own_details", "email", "name", "phone", "settled_as")

_STAGES: Final[tuple[LiteralString, ...]] = (
    # Sorting must not go by way of a file.
    "SET LOCAL work_mem = '128MB'",
    """
CREATE TEMP TABLE staged_settled ON COMMIT DROP AS
SELECT {settled}, routing AS settled_details, 0 AS settled_as FROM report WITH NO DATA
""",
    """
CREATE TEMP TABLE shape_of_own ON COMMIT DROP AS
SELECT {own}, reference, request_hash, answer AS own_details, email, name, phone, 0 AS settled_as
FROM (SELECT {own} FROM report) AS report, (SELECT reference, request_hash, answer FROM client_request) AS claim,
     (SELECT email, name, phone FROM reporter) AS reporter
WITH NO DATA
""",
    # Rows as they are: to compress what is read twice and thrown away costs more than all else that is done with it.
    # No ALTER TABLE: the driver would forget all its plans.
    """
CREATE TEMP TABLE staged_own (LIKE shape_of_own, serial bigint DEFAULT nextval('report_number'))
WITH (toast_tuple_target = 8160) ON COMMIT DROP
""",
)

_CLAIM: Final = """
INSERT INTO client_request (municipality_id, reference, request_hash, answer)
SELECT %(municipality_id)s, reference, request_hash, jsonb_build_object(
  'id', id, 'number', %(number_start)s::text || serial, 'near', '[]'::jsonb, 'created_at', created_at)
FROM staged_own ORDER BY reference
ON CONFLICT DO NOTHING
"""
"""In the references' order, so that two imports of one file wait for one another, and never both at once."""

_LEAVE_OUT: Final = """
DELETE FROM staged_own USING client_request AS claim
WHERE claim.municipality_id = %(municipality_id)s AND claim.reference = staged_own.reference
  AND claim.answer->>'id' <> staged_own.id::text
RETURNING staged_own.id
"""

_REPORTS: Final = """
INSERT INTO report (number, {settled}, {own})
SELECT %(number_start)s::text || serial, {settled}, {own}
FROM staged_own JOIN staged_settled USING (settled_as) ORDER BY serial
"""

_REPORTERS: Final = """
INSERT INTO reporter (municipality_id, report_id, email, name, phone, language)
SELECT %(municipality_id)s, id, email, name, phone, language FROM staged_own
WHERE coalesce(email, name, phone) IS NOT NULL
"""

_TIMELINE: Final = """
INSERT INTO timeline_entry
  (municipality_id, report_id, at, what, actor, is_public, from_state, to_state, details, transaction)
SELECT %(municipality_id)s, id, created_at, entry.what, entry.actor, true, entry.from_state, entry.to_state,
       entry.details, NULL
FROM staged_own JOIN staged_settled USING (settled_as), LATERAL (VALUES
  (1, 'received', 'citizen', NULL, 'received', jsonb_build_object('source', source)),
  (2, CASE state WHEN 'assigned' THEN 'assigned' ELSE 'triage' END, 'system', 'received', state,
   settled_details || own_details)
) AS entry (place, what, actor, from_state, to_state, details)
ORDER BY serial, entry.place
"""
"""Without the transaction: history is no news."""
