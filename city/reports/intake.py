"""The first station: a report comes in, is placed, classified, routed, given a deadline, and kept. One transaction.

Trouble in classification or routing never refuses a report: it goes to `triage` and says why. What is refused is what
no one could work with: no text, no place, a place in nobody's territory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from psycopg import Connection

from city.database import Prepared, ReadSession, Writing
from city.errors import Conflict, InvalidInput
from city.jobs import bell
from city.registry import view
from city.registry.addresses import finding
from city.registry.municipality import MunicipalityView, Registry
from city.registry.sign_in import fiscal_codes
from city.reports import duplicates, journey
from city.reports.checks import checked, cleaned
from city.reports.identity import new_id
from city.reports.judging import Judgement, Submission, check, clean, entries, json_text, judge, own, settled
from city.reports.likeness import READ_AT_MOST
from city.reports.receipts import receipt_token
from city.reports.routing import Routing
from geo.place import Place

RENEWALS: Final = 3
"""How often the registry is read anew for one report before its last look counts."""


@dataclass(frozen=True, slots=True)
class Received:
    """The answer to a submission, as JSON values, and whether it is a repeat of the first."""

    answer: dict[str, Any]
    is_repeat: bool

    @property
    def report_id(self) -> UUID:
        """The report's id."""
        return UUID(self.answer["id"])


def receive(session: Writing, submission: Submission, municipality: MunicipalityView | None = None) -> Received:
    """Take the report in; one transaction, the caller's, which must have entered the place's municipality.

    Whoever has just looked up the `municipality` of the place in the registry may say so.

    A repeat under the same `client_reference` gets the first answer, also when both arrive at once.
    Raises InvalidInput, OutsideTerritory, TooLarge; Conflict where the reference was used for something else.
    """
    now = datetime.now(UTC)
    submission = clean(submission)
    report_id = new_id()
    registry, judgement = _first_judged(session, submission, now, municipality)
    for renewals_left in range(RENEWALS, -1, -1):
        # A registry that changes all the time must not keep a report out: the last look counts, however fresh.
        wanted = registry.version if renewals_left else None
        kept = _keep(session.raw, submission, judgement, _row(submission, judgement, report_id, now), wanted)
        if wanted in {None, kept.version}:
            break
        registry = view.at_version(kept.version)
        judgement = _judged(submission, registry, now)
        session.enter(judgement.municipality.id)
    if kept.answer is None:
        return _first_answer(session.raw, submission, judgement)
    if submission.photos:
        _keep_photos(session.raw, submission, judgement.municipality.id, report_id)
    if submission.contact.fiscal_code or submission.contact.by_app_io:
        _keep_fiscal_code(session.raw, submission, judgement.municipality, report_id)
    session.after_commit(bell.ring)
    return Received(_finished(kept.answer, submission, judgement.municipality), is_repeat=False)


def suggest(session: ReadSession, place: Place, text: str) -> dict[str, Any]:
    """What intake would say of a text at a place: categories, department, near duplicates, words of danger.

    Nothing is kept. Raises InvalidInput, OutsideTerritory.
    """
    now = datetime.now(UTC)
    municipality = view.fresh(session).at(checked(place))
    judgement = judge(Submission(place, cleaned(text, field="text") or ""), municipality, now)
    guessed = judgement.suggestions()
    sought = duplicates.Sought.of(
        municipality, place, category=judgement.category.slug, suggestions=guessed, description=text, at=now
    )
    found = session.raw.execute(
        duplicates.NEARBY_SQL,
        {"municipality_id": municipality.id, **duplicates.search_values(sought, hidden_too=False)},
    )
    names = [column.name for column in found.description or ()]
    near = duplicates.likely(sought, (dict(zip(names, row, strict=True)) for row in found), coarsely=True)
    classification = judgement.classification
    return {
        "municipality": {"slug": municipality.slug, "name": municipality.name},
        "suggestions": guessed,
        "decided": bool(classification and classification.decided),
        "language": judgement.language,
        "words": [word for word, _ in classification.words] if classification else [],
        "department": _department_json(judgement.routing),
        "near_duplicates": _near_json(near),
        "notices": municipality.notices.told_at(place, now),
        "emergency": _emergency_json(judgement),
    }


def _first_judged(
    session: Writing, submission: Submission, now: datetime, municipality: MunicipalityView | None
) -> tuple[Registry, Judgement]:
    """The judgement by the registry this process holds; before that refuses anything, by the newest."""
    registry = view.held()
    try:
        return registry, _judged(submission, registry, now, municipality)
    except InvalidInput:
        newest = view.fresh(session)
        if newest is registry:
            raise
        judgement = _judged(submission, newest, now)
        session.enter(judgement.municipality.id)
        return newest, judgement


def _judged(
    submission: Submission, registry: Registry, now: datetime, found: MunicipalityView | None = None
) -> Judgement:
    if submission.home_id is not None:
        municipality = registry.municipalities[submission.home_id]
        check(submission, municipality, now)
        return judge(submission, municipality, now)
    is_of_registry = found is not None and registry.municipalities.get(found.id) is found
    municipality = found if found is not None and is_of_registry else registry.at(checked(submission.place))
    check(submission, municipality, now)
    return judge(submission, municipality, now)


def _row(submission: Submission, judgement: Judgement, report_id: UUID, now: datetime) -> dict[str, Any]:
    """The report's row, but for the number: what was settled and what is its own."""
    row = settled(judgement, now) | own(submission, judgement, report_id, now)
    if submission.home_id is not None:
        row |= {"is_public": False, "is_coarse": False}  # everyone sees it under the number that it had before
    return row


_COLUMNS: Final = (  # noqa: SIM905  (read as a table's head)
    "municipality_id id state category_id group_slug decided_by confidence suggestions department_id crew_id"
    " routing triage_reason lon lat cell cell_x cell_y zone_ids address address_source description language answers"
    " source is_public is_coarse is_emergency is_open occurred_at created_at month updated_at deadline_at"
    " escalation clock_at"
).split()

_ADDRESS: Final = {
    "address": "named.address",
    "address_source": "coalesce(%(address_source)s, CASE WHEN named.address IS NOT NULL THEN 'register' END)",
}
"""The citizen's own words; where there are none, what our register says of the place."""


def _keeping(named: str) -> str:
    """The statement, with an expression that says the address."""
    return f"""
WITH registry AS (
  SELECT version FROM registry_version
), near AS (
  SELECT coalesce(jsonb_agg(to_jsonb(found) - 'description'), '[]') AS reports,
         coalesce(jsonb_agg(found.description), '[]') AS descriptions
  FROM ({duplicates.NEARBY_SQL}) AS found
), named AS (
  SELECT {named} AS address
), answer AS (
  SELECT number, %(answer)s::jsonb
    || jsonb_build_object('number', number, 'near', near.reports, 'address', named.address) AS said
  FROM near, named, (
    SELECT %(number_start)s::text || nextval('report_number') AS number FROM registry
    WHERE %(version)s::integer IS NULL OR version = %(version)s::integer
  ) AS numbered
), claim AS (
  INSERT INTO client_request (municipality_id, reference, request_hash, answer)
  SELECT %(municipality_id)s, %(reference)s, %(fingerprint)s, said FROM answer WHERE %(reference)s::uuid IS NOT NULL
  ON CONFLICT DO NOTHING RETURNING 1
), new_report AS (
  INSERT INTO report (number, {", ".join(_COLUMNS)})
  SELECT number, {", ".join(_ADDRESS.get(name, f"%({name})s") for name in _COLUMNS)} FROM answer, named
  WHERE %(reference)s::uuid IS NULL OR EXISTS (SELECT FROM claim)
  RETURNING 1
), new_reporter AS (
  INSERT INTO reporter (municipality_id, report_id, email, name, phone, language, citizen_id)
  SELECT %(municipality_id)s, %(id)s, %(email)s, %(name)s, %(phone)s, %(spoken)s, %(citizen_id)s::uuid
  FROM new_report WHERE %(has_reporter)s
), entries AS (
  INSERT INTO timeline_entry
    (municipality_id, report_id, at, what, actor, is_public, from_state, to_state, details, transaction)
  SELECT %(municipality_id)s, %(id)s, entry.at, entry.what, entry.actor, entry.is_public, entry.from_state,
         entry.to_state, entry.details, CASE WHEN %(is_news)s THEN (pg_current_xact_id()::text)::bigint END
  FROM new_report, jsonb_to_recordset(%(entries)s::jsonb) AS entry
    (at timestamptz, what text, actor text, is_public boolean, from_state text, to_state text, details jsonb)
), jobs AS (
  INSERT INTO job (actor, arguments)
  SELECT promised->>0, promised->1 FROM new_report, jsonb_array_elements(%(promises)s::jsonb) AS promised
)
SELECT version, (SELECT number FROM answer, new_report), near.reports, near.descriptions,
       (SELECT address FROM named, new_report)
FROM registry, near
"""  # noqa: S608


_KEEP: Final = Prepared("keep_report", _keeping("%(address)s::text"))
_KEEP_NAMING: Final = Prepared("keep_report_naming", _keeping(finding.NAMED_SQL))
"""The same for a report without address in a municipality with a register; the other need not know of one."""


class _Kept(NamedTuple):
    """The registry's version as it is in the database, and the answer; None where nothing was written.

    That is so where the version is not the one judged by, or the client's reference was claimed before.
    """

    version: int
    answer: dict[str, Any] | None


def _keep(
    connection: Connection[Any],
    submission: Submission,
    judgement: Judgement,
    row: dict[str, Any],
    version: int | None,
) -> _Kept:
    """Number, reports nearby, report, reporter, timeline, jobs and the claim on the reference: one statement.

    Nothing is written where the registry is at another `version` (None: at any).
    """
    contact, citizen = submission.reporter, submission.citizen
    answer = _answer(submission, judgement, row)
    promises = journey.after_receiving(
        row["municipality_id"],
        row["id"],
        has_address=bool(contact.email or contact.has_app(judgement.municipality)) and submission.created_at is None,
        has_photos=bool(submission.photos),
        has_subscribers=judgement.municipality.has_subscribers and row["is_public"] and submission.created_at is None,
        is_heard=_is_heard(judgement, row) and submission.created_at is None,
    )
    is_looked_for = judgement.municipality.has_addresses and submission.address is None
    current, number, near, descriptions, address = (_KEEP_NAMING if is_looked_for else _KEEP).first(
        connection,
        {
            **row,
            "version": version,
            "number_start": f"{judgement.municipality.prefix}-{judgement.municipality.local(row['updated_at']).year}-",
            **duplicates.search_values(_sought(answer, submission, judgement.municipality), hidden_too=False),
            **(finding.at_values(submission.place) if is_looked_for else {}),
            "reference": submission.client_reference,
            "fingerprint": submission.fingerprint() if submission.client_reference else b"",
            "answer": json_text(answer),
            "email": contact.email,
            "name": contact.name,
            "phone": contact.phone,
            "spoken": citizen.language if citizen and not submission.language else judgement.language,
            "citizen_id": citizen.id if citizen else None,
            "has_reporter": bool(
                contact.email or contact.name or contact.phone or citizen or contact.has_app(judgement.municipality)
            ),
            "entries": json_text(entries(submission, judgement, row)),
            "is_news": submission.created_at is None,
            "promises": json_text([[promise.actor, promise.arguments] for promise in promises]),
        },
    )
    if number is None:
        return _Kept(int(current or 0), None)
    told = _told(orjson.loads(near or b"[]"), orjson.loads(descriptions or b"[]"))
    found = {"number": number.decode(), "near": told, "address": address.decode() if address else None}
    return _Kept(int(current or 0), answer | found)


def _is_heard(judgement: Judgement, row: Mapping[str, Any]) -> bool:
    heard = judgement.municipality.heard
    return "arrived" in heard or ("emergency" in heard and row["is_emergency"])


def _told(near: list[dict[str, Any]], descriptions: Iterable[str]) -> list[dict[str, Any]]:
    """The reports nearby with what they say. A kept answer does without: no report's text outlives it in another's."""
    return [found | {"description": said} for found, said in zip(near, descriptions, strict=True)]


def _sought(answer: Mapping[str, Any], submission: Submission, municipality: MunicipalityView) -> duplicates.Sought:
    """The report of an answer, to be compared with those nearby; the same for the first answer and its repeats."""
    category = answer["category"]
    return duplicates.Sought.of(
        municipality,
        submission.place,
        category=category["slug"],
        suggestions=category["suggestions"],
        description=submission.description,
        at=datetime.fromisoformat(answer["created_at"]),
    )


def _keep_photos(connection: Connection[Any], submission: Submission, municipality_id: int, report_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO photo (municipality_id, id, report_id, position, state, sha256, width, height, dhash,"
            " taken_at, metres_away, is_far) VALUES (%s, %s, %s, %s, 'received', %s, %s, %s, %s, %s, %s, %s)",
            [
                (municipality_id, photo.id, report_id, position, *photo.columns(submission.place))
                for position, photo in enumerate(submission.photos)
            ],
        )


def _keep_fiscal_code(
    connection: Connection[Any], submission: Submission, municipality: MunicipalityView, report_id: UUID
) -> None:
    contact = submission.reporter
    if contact.fiscal_code and contact.has_app(municipality):
        connection.execute(
            "UPDATE reporter SET fiscal_code = %s WHERE municipality_id = %s AND report_id = %s",
            (fiscal_codes.sealed(contact.fiscal_code), municipality.id, report_id),
        )


def _answer(submission: Submission, judgement: Judgement, row: dict[str, Any]) -> dict[str, Any]:
    """The 201 answer as JSON values, but for what the database adds (`number`, `near`) and `_finished` makes of it."""
    municipality, category, routing = judgement.municipality, judgement.category, judgement.routing
    return {
        "id": str(row["id"]),
        "state": row["state"],
        "municipality": {"slug": municipality.slug, "name": municipality.name},
        "zones": [{"layer": zone.layer, "code": zone.code, "name": zone.name} for zone in judgement.zones],
        "category": {
            "slug": category.slug,
            "group": category.group.slug,
            "name": {"it": category.name.it, "en": category.name.en},
            "decided_by": judgement.decided_by,
            "confidence": judgement.confidence,
            "words": [word for word, _ in judgement.classification.words] if judgement.classification else [],
            "suggestions": judgement.suggestions(),
        },
        "department": _department_json(routing),
        "triage_reason": judgement.triage_reason,
        "emergency": _emergency_json(judgement),
        "place": {"lon": submission.place.lon, "lat": submission.place.lat},
        "address": row["address"],
        "language": judgement.language,
        "is_public": row["is_public"],
        "created_at": row["created_at"].isoformat(),
        "deadline_at": row["deadline_at"].isoformat(),
        "photos": [{"id": str(photo.id), "is_far": photo.is_far(submission.place)} for photo in submission.photos],
    }


def _finished(answer: dict[str, Any], submission: Submission, municipality: MunicipalityView) -> dict[str, Any]:
    """The 201 answer: of the reports in the cells nearby the likely ones are told, and the receipt token is made.

    Answers kept before we looked for addresses have none.
    """
    near = duplicates.likely(_sought(answer, submission, municipality), answer["near"], coarsely=True)
    now = datetime.fromisoformat(answer["created_at"])
    added = {
        "near_duplicates": _near_json(near),
        "notices": municipality.notices.told_at(submission.place, now, answer["category"]["group"]),
        "receipt_token": receipt_token(UUID(answer["id"])),
    }
    return {"address": None} | {name: value for name, value in answer.items() if name != "near"} | added


def _department_json(routing: Routing) -> dict[str, Any]:
    department = routing.department
    return {
        "slug": department.slug,
        "name": {"it": department.name.it, "en": department.name.en},
        "kind": department.kind,
        "reason": routing.as_json(),
    }


def _emergency_json(judgement: Judgement) -> dict[str, Any] | None:
    return {"words": judgement.emergency, "call": "112"} if judgement.emergency else None


def _near_json(near: list[duplicates.Nearby]) -> list[dict[str, Any]]:
    """What a citizen may know: a hidden report is not among them, and another citizen's words are nobody's business."""
    return [
        {
            "number": found.number,
            "state": found.state,
            "category": found.category.slug,
            "metres": round(found.metres, 1),
            "created_at": found.created_at.isoformat(),
            "solved_at": found.solved_at.isoformat() if found.solved_at else None,
            "days": round(found.days, 1),
            "likeness": found.likeness,
            "score": round(found.score, 2),
            "why": found.why(),
        }
        for found in near
    ]


def _first_answer(connection: Connection[Any], submission: Submission, judgement: Judgement) -> Received:
    kept = connection.execute(
        "SELECT answer, request_hash FROM client_request WHERE municipality_id = %s AND reference = %s",
        (judgement.municipality.id, submission.client_reference),
    ).fetchone()
    if kept is None or bytes(kept[1]) != submission.fingerprint():
        raise Conflict("intake.reference_reused", field="client_reference")
    municipality, answer = judgement.municipality, kept[0]
    if "state" not in answer:
        # Of an imported report only what cannot be judged anew was kept: nobody was waiting for the answer.
        row = _row(submission, judgement, UUID(answer["id"]), datetime.fromisoformat(answer["created_at"]))
        answer = _answer(submission, judgement, row) | answer
    said = dict(
        connection.execute(
            "SELECT id, left(description, %s) FROM report WHERE municipality_id = %s AND id = ANY (%s)",
            (READ_AT_MOST, municipality.id, [UUID(found["id"]) for found in answer["near"]]),
        ).fetchall()
    )
    told = _told(answer["near"], (said.get(UUID(found["id"]), "") for found in answer["near"]))
    return Received(_finished(answer | {"near": told}, submission, municipality), is_repeat=True)
