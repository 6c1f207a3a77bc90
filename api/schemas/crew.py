"""The shapes of what a crew's tablet gets and sends."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter

from api.schemas.base import Degrees, Id, Line, Moment, Named, PlaceOut, Slug, Strict, Words
from api.schemas.receipt import QuestionOut
from city.reports.checks import LONGEST_ADDRESS
from city.reports.field.field_operations import Found, Material, Operation
from city.reports.lifecycle import State
from geo.place import Place


class CrewOut(BaseModel):
    """A crew."""

    slug: str
    name: str


class JobCategory(BaseModel):
    """What the trouble is."""

    slug: str
    group: str
    name: Named


class JobPhoto(BaseModel):
    """A photo of a job; `links` lead to its copies `large`, `medium`, `small`, to be fetched with the same sign-in."""

    id: UUID
    width: int
    height: int
    taken_at: datetime | None
    metres_away: float | None
    links: dict[str, str]


class JobEntry(BaseModel):
    """An entry of a job's history, public or among colleagues."""

    at: datetime
    what: str
    actor: str
    person: str | None
    from_state: str | None
    to_state: str | None
    note: str | None
    is_public: bool


class Job(BaseModel):
    """A report as a crew needs it where there is no network. `version` is the base of what is done to it there."""

    id: UUID
    number: str
    version: int
    state: State
    is_emergency: bool
    is_late: bool
    category: JobCategory
    questions: list[QuestionOut]
    answers: dict[str, Any]
    department: str
    place: PlaceOut
    address: str | None
    description: str
    language: str
    people: int
    parent: UUID | None
    created_at: datetime
    deadline_at: datetime
    promised_at: datetime | None
    paused_at: datetime | None
    moves: list[State]
    photos: list[JobPhoto]
    timeline: list[JobEntry]


class FieldReason(BaseModel):
    """Why a job cannot be done."""

    slug: str
    name: Named


class FieldMaterial(BaseModel):
    """What may be used up; `group` says for which categories (null: all)."""

    slug: str
    group: str | None
    unit: str
    name: Named


class FieldForm(BaseModel):
    """What the tablet offers to choose from."""

    reasons: list[FieldReason]
    units: list[str]
    materials: list[FieldMaterial]


class DayOut(BaseModel):
    """A crew's jobs in the order to visit them; `more` are left out because they are too many and farther away."""

    crew: CrewOut
    jobs: list[Job]
    more: int
    form: FieldForm


# --- what comes in


class _OperationIn(Strict):
    """What every operation says: `id` is made by the tablet, `device_at` is read off its clock when it was done."""

    id: Id
    device_at: Moment
    sequence: Annotated[int, Field(ge=0, lt=2**53)] = 0
    """Counts up on the tablet."""

    def operation(self, device: str) -> Operation:
        """As the city takes it."""
        return Operation(
            id=self.id,
            kind=str(getattr(self, "kind", "")),
            report_id=getattr(self, "report", None),
            base_version=getattr(self, "base_version", None),
            device=device,
            sequence=self.sequence,
            upload_id=getattr(self, "upload", None),
            device_at=self.device_at,
            **self.said(),
        )

    def said(self) -> dict[str, Any]:
        """What this kind of operation says besides."""
        return {}


class _OfReportIn(_OperationIn):
    report: Id
    """A report's id, or that of the `found_more` by which the crew has found it."""
    base_version: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """The version of the report that the tablet knew."""


class StartIn(_OfReportIn):
    """Work has begun."""

    kind: Literal["start"]
    text: Words | None = None

    def said(self) -> dict[str, Any]:
        """Words, if any: the reporter reads them."""
        return {"words": self.text}


class DoneIn(_OfReportIn):
    """The work is done; `text` says how, and is read by the reporter."""

    kind: Literal["done"]
    text: Words

    def said(self) -> dict[str, Any]:
        """How."""
        return {"words": self.text}


class CantIn(_OfReportIn):
    """It cannot be done; `reason` is one of those of the day's form. The reporter reads it."""

    kind: Literal["cant"]
    reason: Annotated[str, StringConstraints(max_length=60)]
    text: Words | None = None

    def said(self) -> dict[str, Any]:
        """Why."""
        return {"words": self.text, "reason": self.reason}


class NoteIn(_OfReportIn):
    """Something to say, to the reporter too (`is_public`) or among colleagues."""

    kind: Literal["note"]
    text: Words
    is_public: bool = False

    def said(self) -> dict[str, Any]:
        """What."""
        return {"words": self.text, "is_public": self.is_public}


class PhotoIn(_OfReportIn):
    """A photo, brought by the upload of this id, which may come before or after."""

    kind: Literal["photo"]
    upload: Id
    text: Words | None = None

    def said(self) -> dict[str, Any]:
        """What is to be seen."""
        return {"words": self.text}


class MaterialIn(Strict):
    """Material used: a name of the form or another one, how much, in which unit."""

    material: Annotated[Line, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
    quantity: Annotated[Decimal, Field(gt=0, max_digits=9, decimal_places=3, strict=False)]
    unit: Annotated[Line, StringConstraints(min_length=1, max_length=20, strip_whitespace=True)]


class WorkIn(_OfReportIn):
    """Time spent, material used, or both; it is added to what was said before."""

    kind: Literal["work"]
    minutes: Annotated[int, Field(ge=0, le=1440)] = 0
    materials: Annotated[list[MaterialIn], Field(max_length=20)] = Field(default_factory=list)
    text: Words | None = None

    def said(self) -> dict[str, Any]:
        """How long, how much."""
        used = tuple(Material(one.material, f"{one.quantity.normalize():f}", one.unit) for one in self.materials)
        return {"words": self.text, "minutes": self.minutes, "materials": used}


class FoundMoreIn(_OperationIn):
    """Another trouble, found on the way: it becomes a report of its own."""

    kind: Literal["found_more"]
    lon: Degrees
    lat: Degrees
    description: Words
    category: Slug | None = None
    address: Annotated[Line, StringConstraints(max_length=LONGEST_ADDRESS)] | None = None

    def said(self) -> dict[str, Any]:
        """What, and where."""
        found = Found(Place(self.lon, self.lat), self.category, self.address)
        return {"words": self.description, "found": found}


OperationIn = Annotated[
    StartIn | DoneIn | CantIn | NoteIn | PhotoIn | WorkIn | FoundMoreIn,
    Field(discriminator="kind"),
]
OPERATION: Final[TypeAdapter[Any]] = TypeAdapter(OperationIn)


class SyncIn(Strict):
    """What was done on one tablet while it was offline; at most 200 operations, in any order, as often as need be.

    `sent_at` is the tablet's clock when it sends: by it we know how far that clock is off.
    """

    device: Annotated[Line, StringConstraints(min_length=1, max_length=64)]
    sent_at: Moment
    operations: Annotated[list[OperationIn], Field(max_length=200)]


class EnvelopeIn(Strict):
    """The same, each operation not yet looked at: one that is wrong must not keep the others out."""

    device: Annotated[Line, StringConstraints(min_length=1, max_length=64)]
    sent_at: Moment
    operations: Annotated[list[Any], Field(max_length=200)]


# --- what goes out


class SyncedReport(BaseModel):
    """Where the report stands now."""

    id: UUID
    number: str
    version: int
    state: State


class Sides(BaseModel):
    """What a field holds by the tablet, and by us."""

    yours: str | None
    theirs: str | None


class ConflictOut(BaseModel):
    """Why something did not come about: `barred` by the report's life, or the report was another crew's by then."""

    why: Literal["barred", "not_yours"]
    base_version: int | None
    version: int
    fields: dict[str, Sides]


Outcome = Literal["applied", "conflict", "waiting", "refused"]


class OperationResult(BaseModel):
    """What became of an operation.

    `already_applied` is said of a repeat: `first` is what was answered first, `outcome` what has become of it by now.
    """

    id: UUID | None
    result: Literal["applied", "already_applied", "conflict", "waiting", "refused"]
    first: Outcome | None
    outcome: Outcome
    report: SyncedReport | None
    conflict: ConflictOut | None
    why: str | None
    field: str | None


class SyncOut(BaseModel):
    """The results, in the order of the operations."""

    crew: CrewOut
    results: list[OperationResult]


class FieldConflict(BaseModel):
    """What a crew did offline and what did not come about; `id` is the operation's."""

    id: UUID
    report: SyncedReport
    crew: str | None
    person: str | None
    kind: str
    text: str | None
    device: str
    conflict: ConflictOut
    device_at: datetime
    happened_at: datetime
    received_at: datetime
    settled_at: datetime | None
    settled_by: str | None


class FieldConflicts(BaseModel):
    """A page of conflicts."""

    conflicts: list[FieldConflict]
    next: str | None
