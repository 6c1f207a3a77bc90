"""What a crew did where there was no network comes in: each thing once, in any order, as often as it is sent.

Notes, photos, time and material are always added. `start`, `done` and `cant` are deeds: what they make of the report's
state is told by `folding`. What was found besides is a report of its own. A crew may say something about a report that
was its own at that time, or before: it had been there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from city.errors import Conflict, InvalidInput, NotFound
from city.registry import view
from city.registry.municipality import CrewView
from city.registry.staff.rights import Right, Standing
from city.reports import intake
from city.reports.changing import Desk, locked, tell, touch
from city.reports.checks import checked, cleaned
from city.reports.field import field_photos, form
from city.reports.field.refolding import DEEDS, MARK, Spells, refold
from city.reports.field.tables import FieldOperation
from city.reports.judging import STAFF_SOURCE, Submission
from city.reports.tables import Report
from city.reports.timeline import note_down
from geo.place import Place

STEADY: Final = timedelta(minutes=1)
"""A tablet's clock may be off by less: that much a request may take on its way."""
LONGEST_SHORT: Final = 200
"""Letters of a name of a material or a device."""


@dataclass(frozen=True, slots=True)
class Material:
    """What was used up: `quantity` as a decimal number in writing, so that sums are exact."""

    name: str
    quantity: str
    unit: str


@dataclass(frozen=True, slots=True)
class Found:
    """What was found besides."""

    place: Place
    category: str | None
    address: str | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing done on a tablet."""

    id: UUID
    kind: str
    report_id: UUID | None
    """A report's id, or that of the operation by which the crew has found it."""
    base_version: int | None
    device: str
    sequence: int
    device_at: datetime
    upload_id: UUID | None = None
    words: str | None = None
    is_public: bool = False
    reason: str | None = None
    minutes: int | None = None
    materials: tuple[Material, ...] = ()
    found: Found | None = None

    def fingerprint(self, crew: CrewView) -> bytes:
        """SHA-256 of all that it says; the version that the tablet knew is not part of it."""
        said = [
            crew.id,
            self.kind,
            self.report_id,
            self.upload_id,
            self.device_at.astimezone(UTC),
            self.words,
            self.is_public,
            self.reason,
            self.minutes,
            [[material.name, material.quantity, material.unit] for material in self.materials],
            [*self.found.place, self.found.category, self.found.address] if self.found else None,
        ]
        return hashlib.sha256(orjson.dumps(said)).digest()


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an operation; `is_repeat` where it had come before."""

    operation: FieldOperation
    report: Report
    is_repeat: bool


def happened_at(device_at: datetime, sent_at: datetime, now: datetime) -> datetime:
    """When it happened by our clock, if the tablet's said `device_at` then and `sent_at` `now`; never in the future.

    The difference counts in whole minutes, so that what is sent twice is dated alike.
    """
    minutes = round((now - sent_at) / STEADY)
    skew = minutes * STEADY if abs(now - sent_at) > STEADY else timedelta()
    return min(device_at + skew, now)


def take(desk: Desk, crew: CrewView, operation: Operation, happened: datetime) -> Taken:
    """Do what the operation says, unless it was done before; one transaction, the caller's.

    Raises NotFound where the report never was the crew's by then, Conflict where the id was used for something else,
    InvalidInput and TooLarge for what cannot be right.
    """
    desk.staff.needs(Right.FIELD)
    operation_json = _payload(desk, operation)
    print_of = operation.fingerprint(crew)
    known = _known(desk, operation.id)
    if known is not None:
        return _repeated(desk, known, print_of)
    report = _found_more(desk, operation) if operation.kind == "found_more" else _own(desk, crew, operation, happened)
    row = {
        "municipality_id": desk.municipality.id,
        "id": operation.id,
        "report_id": report.id,
        "crew_id": crew.id,
        "person_id": desk.staff.person_id,
        "device": operation.device,
        "sequence": operation.sequence,
        "kind": operation.kind,
        "base_version": operation.base_version,
        "device_at": operation.device_at,
        "happened_at": max(happened, report.created_at) if operation.kind in DEEDS else happened,
        "fingerprint": print_of,
        "payload": operation_json,
        "upload_id": operation.upload_id,
        "first": "applied",
        "outcome": "applied",
    }
    made = desk.session.scalar(insert(FieldOperation).values(row).on_conflict_do_nothing().returning(FieldOperation))
    if made is None:  # the same came at the same time, and was kept while we waited for it
        known = _known(desk, operation.id)
        assert known is not None
        return _repeated(desk, known, print_of)
    if operation.kind in DEEDS:
        refold(desk, report, made)
    else:
        _add(desk, report, operation, made)
    made.first = made.outcome
    desk.session.flush()
    return Taken(made, report, is_repeat=False)


def _known(desk: Desk, operation_id: UUID) -> FieldOperation | None:
    return desk.session.scalar(
        select(FieldOperation).where(
            FieldOperation.municipality_id == desk.municipality.id, FieldOperation.id == operation_id
        )
    )


def _repeated(desk: Desk, known: FieldOperation, print_of: bytes) -> Taken:
    if known.fingerprint != print_of:
        raise Conflict("crew.id_reused", field="id")
    return Taken(known, desk.session.get_one(Report, (known.municipality_id, known.report_id)), is_repeat=True)


def _own(desk: Desk, crew: CrewView, operation: Operation, happened: datetime) -> Report:
    """The report, locked, if the crew had it when the operation happened, or before; or made it of what it found."""
    missing = NotFound("crew.not_your_report", field="report")
    if operation.report_id is None:
        raise missing
    found = _known(desk, operation.report_id)
    if found is not None and found.kind == "found_more" and found.crew_id == crew.id:
        return locked(desk.session, desk.municipality.id, found.report_id)
    try:
        report = locked(desk.session, desk.municipality.id, operation.report_id)
    except NotFound:
        raise missing from None
    if crew.id not in Spells.of(desk.session, report).up_to(max(happened, report.created_at)):
        raise missing
    then = Standing(crew.department_id, crew.id, report.category_id, report.group_slug, report.zone_ids)
    if not desk.staff.may(Right.FIELD, then, desk.municipality):
        raise missing
    return report


def _payload(desk: Desk, operation: Operation) -> dict[str, Any]:
    """What is kept of it, checked: `told` are the words that stand in the timeline."""
    words = cleaned(operation.words, field="text")
    if operation.kind in {"note", "done"} and words is None:
        raise InvalidInput("reports.nothing_to_say", field="text")
    if operation.kind == "cant":
        reason = form.reason_in_words(operation.reason or "", desk.municipality.languages[0])
        return {"told": f"{reason} {words}" if words else reason, "reason": operation.reason}
    if operation.kind == "work":
        return _work(operation)
    return {"told": words} if words and operation.kind in DEEDS else {}


def _work(operation: Operation) -> dict[str, Any]:
    if not operation.minutes and not operation.materials:
        raise InvalidInput("crew.no_work", field="minutes")
    materials = [
        {
            "material": cleaned(material.name, field="materials", longest=LONGEST_SHORT),
            "quantity": material.quantity,
            "unit": material.unit,
        }
        for material in operation.materials
    ]
    return {"minutes": operation.minutes or 0, "materials": materials}


def _add(desk: Desk, report: Report, operation: Operation, made: FieldOperation) -> None:
    """What always merges."""
    details = {MARK: str(made.id), "kind": made.kind, "happened_at": made.happened_at.isoformat()}
    words = cleaned(operation.words, field="text")
    made.is_noted = True
    if operation.kind == "found_more":
        note_down(desk.session, report, "field", staff=desk.staff, is_public=False, details=details)
        return
    touch(report)
    if operation.kind == "note" and operation.is_public:
        tell(desk.session, report, "update", staff=desk.staff, note=words, details=details)
        return
    note_down(
        desk.session,
        report,
        "field",
        staff=desk.staff,
        is_public=False,
        note=words,
        details=details | made.payload,
    )
    if operation.kind == "photo":
        field_photos.bring(desk.session, report, made)


def _found_more(desk: Desk, operation: Operation) -> Report:
    """The report that came of what was found besides: taken in as everybody's, once under the operation's id."""
    assert operation.found is not None
    place = checked(operation.found.place)
    if view.fresh(desk.session).at(place).id != desk.municipality.id:
        raise InvalidInput("crew.elsewhere", field="place", municipality=desk.municipality.name)
    received = intake.receive(
        desk.session,
        Submission(
            place,
            operation.words or "",
            category=operation.found.category,
            address=operation.found.address,
            client_reference=operation.id,
            source=STAFF_SOURCE,
            language=desk.municipality.languages[0],
        ),
        desk.municipality,
    )
    return locked(desk.session, desk.municipality.id, received.report_id)
