"""What is handed in, and what is decided of it: category, zones, department, deadline. Before anything is written.

Trouble in classification or routing never refuses a report: it goes to `triage` and says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from city.errors import InvalidInput, Unavailable
from city.registry.municipality import LAST_RESORT, CategoryView, MunicipalityView, ZoneView
from city.registry.sign_in.citizen_tables import Citizen
from city.registry.sign_in.citizens import fiscal_number
from city.reports import emergencies, trained
from city.reports.checks import LONGEST_ADDRESS, cleaned
from city.reports.classification import Classification
from city.reports.clock import outlook
from city.reports.deadlines import deadline
from city.reports.lifecycle import State
from city.reports.photos import IncomingPhoto
from city.reports.routing import Routing, route
from geo.place import Place, morton

CLOCK_SKEW: Final = timedelta(hours=1)
STAFF_SOURCE: Final = "crew"
"""Where a report comes from that our own people made: they need not say who they are."""
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
    fiscal_code: str | None = None
    """Given to be answered in app IO, where the municipality writes there: elsewhere it is not kept."""
    by_app_io: bool = False
    """The same, under the fiscal number of the sign-in."""

    def is_reachable(self, municipality: MunicipalityView) -> bool:
        """Whether anything of it can be used to answer."""
        return bool(self.email or self.phone or self.has_app(municipality))

    def has_app(self, municipality: MunicipalityView) -> bool:
        """Whether they are answered in app IO."""
        return bool(self.fiscal_code and municipality.has_app_io)


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
    home_id: int | None = None
    """The municipality it is for, where another one that had it says so; else whose the place is."""
    citizen: Citizen | None = None
    """Who is signed in. It is no part of what was said: a repeat may come after signing out, or with another name."""

    @property
    def reporter(self) -> Contact:
        """How to reach the reporter: as they say, and where they do not, as is known of them."""
        if self.citizen is None:
            return self.contact
        given, code = self.contact, self.contact.fiscal_code
        if given.by_app_io and code is None:
            with suppress(Unavailable):  # sealed with another secret: they are answered by mail
                code = fiscal_number(self.citizen)
        return Contact(given.email or self.citizen.email, given.name or self.citizen.name, given.phone, code)

    def fingerprint(self) -> bytes:
        """SHA-256 of all that was said, to know a repeat from another report under the same reference."""
        said = [
            [*self.place],
            self.description,
            self.category,
            self.address,
            dict(self.answers),
            [self.contact.email, self.contact.name, self.contact.phone, *filter(None, [self.contact.fiscal_code])],
            self.occurred_at,
            [photo.facts.sha256.hex() for photo in self.photos],
        ]
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


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
        contact.fiscal_code,
        contact.by_app_io,
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
    is_known = submission.citizen is not None or submission.source == STAFF_SOURCE or submission.home_id is not None
    if not (municipality.accepts_anonymous or submission.contact.is_reachable(municipality) or is_known):
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


# --- as rows ----------------------------------------------------------------------------------------------------------


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
    municipality, span = judgement.municipality, judgement.category.deadline
    deadline_at = deadline(created_at, span, municipality.working_time)
    # What was late before it came here has climbed in silence: nobody is written to about it all at once.
    here = outlook(municipality, span, deadline_at, now)
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
        "month": municipality.month(created_at),
        "deadline_at": deadline_at,
        "escalation": here.reached,
        "clock_at": here.next_at,
    }


def entries(submission: Submission, judgement: Judgement, row: dict[str, Any]) -> list[dict[str, Any]]:
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


def json_text(value: Any) -> str:
    """As the database takes it."""
    return orjson.dumps(value, default=str).decode()
