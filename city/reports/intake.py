"""The first station: a report comes in, is placed, classified, routed, given a deadline, and kept. One transaction.

Trouble in classification or routing never refuses a report: it goes to `triage` and says why. What is refused is what
no one could work with: no text, no place, a place in nobody's territory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from psycopg import Connection

from city.database import Prepared, ReadSession, Writing
from city.errors import Conflict, InvalidInput
from city.jobs import bell
from city.registry import addresses, view
from city.registry.view import LAST_RESORT, CategoryView, MunicipalityView, ZoneView
from city.reports import duplicates, emergencies, journey, trained
from city.reports.checks import LONGEST_ADDRESS, checked, cleaned
from city.reports.classification import Classification
from city.reports.deadlines import deadline
from city.reports.identity import new_id
from city.reports.lifecycle import State
from city.reports.likeness import READ_AT_MOST
from city.reports.photos import IncomingPhoto
from city.reports.receipts import receipt_token
from city.reports.routing import Routing, route
from geo.place import Place, morton

RENEWALS: Final = 3
"""How often the registry is read anew for one report before its last look counts."""
CLOCK_SKEW: Final = timedelta(hours=1)
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""Nothing that anybody reports has happened before."""
LONGEST_KEY: Final = 80


Said = tuple[Classification | None, str | None]
"""What the classifier says of a text, or the key of why it says nothing."""


@dataclass(frozen=True, slots=True)
class Contact:
    """How to reach the reporter; all may be missing where the municipality takes anonymous reports."""

    email: str | None = None
    name: str | None = None
    phone: str | None = None

    @property
    def is_reachable(self) -> bool:
        """Whether anything of it can be used to answer."""
        return bool(self.email or self.phone)


NOBODY: Final = Contact()


@dataclass(frozen=True, slots=True)
class Submission:
    """What a citizen (or an import) hands in."""

    place: Place
    description: str
    category: str | None = None
    address: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    contact: Contact = NOBODY
    client_reference: UUID | None = None
    occurred_at: datetime | None = None
    created_at: datetime | None = None
    """Only for imports of old reports, of which nobody is told any more; else now."""
    source: str = "web"
    language: str | None = None
    photos: Sequence[IncomingPhoto] = ()

    def fingerprint(self) -> bytes:
        """SHA-256 of all that was said, to know a repeat from another report under the same reference."""
        said = [
            [*self.place],
            self.description,
            self.category,
            self.address,
            dict(self.answers),
            [self.contact.email, self.contact.name, self.contact.phone],
            self.occurred_at,
            [photo.facts.sha256.hex() for photo in self.photos],
        ]
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


@dataclass(frozen=True, slots=True)
class Received:
    """The answer to a submission, as JSON values, and whether it is a repeat of the first."""

    answer: dict[str, Any]
    is_repeat: bool

    @property
    def report_id(self) -> UUID:
        """The report's id."""
        return UUID(self.answer["id"])


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was decided about a submission before anything is written."""

    municipality: MunicipalityView
    zones: list[ZoneView]
    category: CategoryView
    decided_by: str
    classification: Classification | None
    routing: Routing
    language: str
    emergency: list[str]
    triage_reason: str | None

    @property
    def state(self) -> State:
        """Where the report begins."""
        return State.TRIAGE if self.triage_reason else State.ASSIGNED

    @property
    def confidence(self) -> float | None:
        """How sure the classifier was, where it decided."""
        best = self.classification.best if self.classification else None
        return best.confidence if best and self.decided_by in {"classifier", "nobody"} else None

    def suggestions(self) -> list[dict[str, Any]]:
        """The classifier's best, for staff and citizen."""
        if self.classification is None:
            return []
        categories = self.municipality.categories
        return [
            {
                "category": suggestion.slug,
                "group": categories[suggestion.slug].group.slug,
                "confidence": suggestion.confidence,
            }
            for suggestion in self.classification.suggestions
        ]


def judge(submission: Submission, municipality: MunicipalityView, now: datetime) -> Judgement:
    """Category, department and all that follows from them; pure, in memory, well under a millisecond.

    Raises InvalidInput where the submission itself is wrong.
    """
    said = classify(submission.description, municipality)
    zones = municipality.zones_at(submission.place, municipality.local(now).date())
    return concluded(submission, municipality, said, zones, lambda category: route(municipality, category, zones, now))


def concluded(
    submission: Submission,
    municipality: MunicipalityView,
    said: Said,
    zones: list[ZoneView],
    routed: Callable[[CategoryView], Routing],
) -> Judgement:
    """The judgement, given what the classifier said (or why it did not), the zones, and who routes a category there."""
    classification, trouble = said
    language = submission.language or (classification.language if classification else municipality.languages[0])
    category, decided_by, reason = _category(submission, municipality, classification, trouble)
    routing = routed(category)
    return Judgement(
        municipality=municipality,
        zones=zones,
        category=category,
        decided_by=decided_by,
        classification=classification,
        routing=routing,
        language=language if language in municipality.languages else municipality.languages[0],
        emergency=emergencies.found(submission.description, municipality.emergency_phrases),
        triage_reason=reason or routing.problem,
    )


def classify(text: str, municipality: MunicipalityView) -> Said:
    """The classifier's word, or why there is none: its trouble is never the citizen's."""
    try:
        classifier = trained.classifier()
        if classifier is None:
            return None, "triage.no_classifier"
        return classifier.classify(text, municipality.choices), None
    except Exception:  # noqa: BLE001  (whatever it is, a person will look)
        return None, "triage.classifier_failed"


def _category(
    submission: Submission, municipality: MunicipalityView, classification: Classification | None, trouble: str | None
) -> tuple[CategoryView, str, str | None]:
    """The category, who decided it, and why a person must look (or None)."""
    if submission.category is not None:
        return municipality.category(submission.category), "citizen", None
    if classification is not None and classification.decided and classification.best:
        return municipality.categories[classification.best.slug], "classifier", None
    return municipality.categories[LAST_RESORT], "nobody", trouble or "triage.unsure"


def clean(submission: Submission) -> Submission:
    """The submission without surrounding space and other trifles. Raises InvalidInput, TooLarge."""
    description = cleaned(submission.description, field="description")
    if description is None:
        raise InvalidInput("intake.empty", field="description")
    address = cleaned(submission.address, field="address", longest=LONGEST_ADDRESS)
    answers = _cleaned_answers(submission.answers)
    contact = _cleaned_contact(submission.contact)
    if (description, address, answers, contact) == (
        submission.description,
        submission.address,
        submission.answers,
        submission.contact,
    ):
        return submission
    return replace(submission, description=description, address=address, answers=answers, contact=contact)


def _cleaned_contact(contact: Contact) -> Contact:
    if contact is NOBODY:
        return contact
    return Contact(
        cleaned(contact.email, field="contact.email", longest=254),
        cleaned(contact.name, field="contact.name", longest=120),
        cleaned(contact.phone, field="contact.phone", longest=30),
    )


def _cleaned_answers(answers: Mapping[str, Any]) -> dict[str, str]:
    """The answers that say something."""
    said = {
        cleaned(key, field="answers", longest=LONGEST_KEY): cleaned(str(value), field=f"answers.{key}")
        for key, value in answers.items()
    }
    return {key: value for key, value in said.items() if key and value}


def check(submission: Submission, municipality: MunicipalityView, now: datetime) -> None:
    """Raises InvalidInput for what nobody could work with."""
    if not municipality.accepts_anonymous and not submission.contact.is_reachable:
        raise InvalidInput("intake.contact_needed", field="contact.email", municipality=municipality.name)
    moment = submission.occurred_at
    if moment is not None and moment > now + CLOCK_SKEW:
        raise InvalidInput("intake.in_the_future", field="occurred_at", value=moment.isoformat())
    if moment is not None and moment < EARLIEST:
        raise InvalidInput("intake.long_ago", field="occurred_at", value=moment.isoformat())
    if submission.category is not None:
        _check_answers(submission.answers, municipality.category(submission.category))


def _check_answers(answers: Mapping[str, Any], category: CategoryView) -> None:
    questions = {question["key"]: question for question in category.questions}
    for key, value in answers.items():
        if key not in questions:
            known = ", ".join(sorted(questions)) or "-"
            raise InvalidInput("intake.unknown_question", field=f"answers.{key}", value=key, known=known)
        choices = [choice["value"] for choice in questions[key].get("choices", [])]
        if choices and value not in choices:
            raise InvalidInput(
                "intake.unknown_answer", field=f"answers.{key}", value=str(value)[:80], known=", ".join(choices)
            )


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
        "emergency": _emergency_json(judgement),
    }


def _first_judged(
    session: Writing, submission: Submission, now: datetime, municipality: MunicipalityView | None
) -> tuple[view.Registry, Judgement]:
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
    submission: Submission, registry: view.Registry, now: datetime, found: MunicipalityView | None = None
) -> Judgement:
    is_of_registry = found is not None and registry.municipalities.get(found.id) is found
    municipality = found if found is not None and is_of_registry else registry.at(checked(submission.place))
    check(submission, municipality, now)
    return judge(submission, municipality, now)


def _row(submission: Submission, judgement: Judgement, report_id: UUID, now: datetime) -> dict[str, Any]:
    """The report's row, but for the number: what was settled and what is its own."""
    return settled(judgement, now) | own(submission, judgement, report_id, now)


def settled(judgement: Judgement, now: datetime) -> dict[str, Any]:
    """The columns that depend on category, zones and routing alone: many old reports share them."""
    return {
        "municipality_id": judgement.municipality.id,
        "state": judgement.state.value,
        "category_id": judgement.category.id,
        "group_slug": judgement.category.group.slug,
        "decided_by": judgement.decided_by,
        "department_id": judgement.routing.department.id,
        "crew_id": judgement.routing.crew.id if judgement.routing.crew else None,
        "routing": json_text(judgement.routing.as_json()),
        "triage_reason": judgement.triage_reason,
        "zone_ids": [zone.id for zone in judgement.zones],
        "is_public": judgement.category.is_public,
        "is_coarse": judgement.category.is_coarse,
        "is_open": judgement.state.is_open,
        "updated_at": now,
    }


def own(submission: Submission, judgement: Judgement, report_id: UUID, now: datetime) -> dict[str, Any]:
    """The columns that no other report shares."""
    created_at = submission.created_at or now
    x, y = submission.place.cell()
    return {
        "id": report_id,
        "confidence": judgement.confidence,
        "suggestions": json_text(judgement.suggestions()),
        "lon": submission.place.lon,
        "lat": submission.place.lat,
        "cell": morton(x, y),
        "cell_x": x,
        "cell_y": y,
        "address": submission.address,
        "address_source": "citizen" if submission.address else None,
        "description": submission.description,
        "language": judgement.language,
        "answers": json_text(dict(submission.answers)),
        "source": submission.source,
        "is_emergency": bool(judgement.emergency),
        "occurred_at": submission.occurred_at,
        "created_at": created_at,
        "month": judgement.municipality.month(created_at),
        "deadline_at": deadline(created_at, judgement.category.deadline_days, judgement.municipality.time_zone),
    }


_COLUMNS: Final = (  # noqa: SIM905  (read as a table's head)
    "municipality_id id state category_id group_slug decided_by confidence suggestions department_id crew_id"
    " routing triage_reason lon lat cell cell_x cell_y zone_ids address address_source description language answers"
    " source is_public is_coarse is_emergency is_open occurred_at created_at month updated_at deadline_at"
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
  INSERT INTO reporter (municipality_id, report_id, email, name, phone, language)
  SELECT %(municipality_id)s, %(id)s, %(email)s, %(name)s, %(phone)s, %(language)s
  FROM new_report WHERE %(has_reporter)s
), entries AS (
  INSERT INTO timeline_entry (municipality_id, report_id, at, what, actor, is_public, from_state, to_state, details)
  SELECT %(municipality_id)s, %(id)s, entry.at, entry.what, entry.actor, entry.is_public, entry.from_state,
         entry.to_state, entry.details
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
_KEEP_NAMING: Final = Prepared("keep_report_naming", _keeping(addresses.NAMED_SQL))
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
    contact = submission.contact
    answer = _answer(submission, judgement, row)
    promises = journey.after_receiving(
        row["municipality_id"],
        row["id"],
        has_address=bool(contact.email) and submission.created_at is None,
        has_photos=bool(submission.photos),
    )
    is_looked_for = judgement.municipality.has_addresses and submission.address is None
    current, number, near, descriptions, address = (_KEEP_NAMING if is_looked_for else _KEEP).first(
        connection,
        {
            **row,
            "version": version,
            "number_start": f"{judgement.municipality.prefix}-{judgement.municipality.local(row['updated_at']).year}-",
            **duplicates.search_values(_sought(answer, submission, judgement.municipality), hidden_too=False),
            **(addresses.at_values(submission.place) if is_looked_for else {}),
            "reference": submission.client_reference,
            "fingerprint": submission.fingerprint() if submission.client_reference else b"",
            "answer": json_text(answer),
            "email": contact.email,
            "name": contact.name,
            "phone": contact.phone,
            "has_reporter": bool(contact.email or contact.name or contact.phone),
            "entries": json_text(_entries(submission, judgement, row)),
            "promises": json_text([[promise.actor, promise.arguments] for promise in promises]),
        },
    )
    if number is None:
        return _Kept(int(current or 0), None)
    told = _told(orjson.loads(near or b"[]"), orjson.loads(descriptions or b"[]"))
    found = {"number": number.decode(), "near": told, "address": address.decode() if address else None}
    return _Kept(int(current or 0), answer | found)


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


def _entries(submission: Submission, judgement: Judgement, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The first two entries of the timeline: it came in; it went there, because."""
    received = {
        "at": row["created_at"],
        "what": "received",
        "actor": "citizen",
        "is_public": True,
        "to_state": State.RECEIVED.value,
        "details": {"source": submission.source},
    }
    sent_on = {
        "at": row["created_at"],
        "what": "assigned" if judgement.state is State.ASSIGNED else "triage",
        "actor": "system",
        "is_public": True,
        "from_state": State.RECEIVED.value,
        "to_state": judgement.state.value,
        "details": settled_details(judgement) | own_details(judgement),
    }
    return [received, sent_on]


def settled_details(judgement: Judgement) -> dict[str, Any]:
    """Why it went there, as far as many old reports share it."""
    return {
        "category": judgement.category.slug,
        "decided_by": judgement.decided_by,
        "department": judgement.routing.department.slug,
        "routing": judgement.routing.as_json(),
        "triage_reason": judgement.triage_reason,
    }


def own_details(judgement: Judgement) -> dict[str, Any]:
    """Why it went there, as far as it is the report's own."""
    words = judgement.classification.words if judgement.classification else ()
    return {
        "confidence": judgement.confidence,
        "words": words,
        "emergency": judgement.emergency,
    }


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
    added = {"near_duplicates": _near_json(near), "receipt_token": receipt_token(UUID(answer["id"]))}
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


def json_text(value: Any) -> str:
    """As the database takes it."""
    return orjson.dumps(value, default=str).decode()
