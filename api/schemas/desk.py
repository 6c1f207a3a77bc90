"""The shapes of the desk: what staff send when they change a report, and what they see of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.base import AddressSource, Id, Line, Moment, Named, PlaceOut, Slug, Strict, Words, ZoneOut
from api.schemas.children import ChildOut
from api.schemas.handover import HandoverOut
from api.schemas.intake import SuggestedCategory
from api.schemas.public import PublicTimelineEntry
from api.schemas.search import Searched
from city.outside.mail_status import Bounce
from city.records.saved_filters import LONGEST_NAME
from city.records.worklists import Order, Worklist, WorklistFilter
from city.reports.checks import box
from city.reports.lifecycle import State
from city.reports.mentions import Unknown

PersonId = Annotated[int, Field(ge=1, le=2**31 - 1)]


class MoveIn(Strict):
    """A step in the report's life; `leave_children`: solve it although parts of its work are open."""

    to: Annotated[State, Field(strict=False)]
    reason: Words | None = None
    internal_note: Words | None = None
    leave_children: bool = False
    unknown_mentions: Annotated[Unknown, Field(strict=False)] = Unknown.REFUSE


class UpdateIn(Strict):
    """Something said about a report. An internal note may name colleagues with @, by the handles of `/desk/people`;
    a name that nobody bears is refused, or kept as mere words.
    """

    text: Words
    is_public: bool = False
    unknown_mentions: Annotated[Unknown, Field(strict=False)] = Unknown.REFUSE


class CategoryIn(Strict):
    """The right category."""

    category: Slug
    note: Words | None = None


class DepartmentIn(Strict):
    """The right department, and why."""

    department: Slug
    reason: Words


class CrewIn(Strict):
    """A crew, or null to take the report back."""

    crew: Slug | None


class PersonIn(Strict):
    """Who at the desk looks after the report, by the id that `/desk/people` gives; null: nobody any more."""

    person: PersonId | None


class PromiseIn(Strict):
    """The day by whose end the report will be solved, and what everybody may read about it."""

    day: Annotated[date, Field(strict=False)]
    words: Words | None = None


class PromiseEnd(Strict):
    """Why a promised date no longer holds; everybody may read it."""

    reason: Words


class MasterIn(Strict):
    """The report of which this one is a duplicate."""

    master: Id


class SplitIn(Strict):
    """Why a duplicate is none."""

    reason: Words | None = None


class ReleaseIn(Strict):
    """What everyone may read and see."""

    public_description: Words | None
    photos: list[Id] | None = None


class StaffTimelineEntry(PublicTimelineEntry):
    """What staff know of what happened."""

    is_public: bool
    person: str | None
    details: dict[str, Any]


class ReporterOut(BaseModel):
    """Who reported."""

    email: str | None
    name: str | None
    phone: str | None
    language: str


class DeskReport(BaseModel):
    """A report in a worklist."""

    id: UUID
    number: str
    version: int
    state: State
    is_open: bool
    is_late: bool
    is_emergency: bool
    is_public: bool
    category: str
    group: str
    decided_by: str
    confidence: float | None
    triage_reason: str | None
    department: str
    crew: str | None
    place: PlaceOut
    address: str | None
    address_source: AddressSource | None
    description: str
    language: str
    source: str
    master: UUID | None
    duplicates: int
    photo_count: int
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    promised_at: datetime | None
    slipped_at: Annotated[
        datetime | None, Field(description="When the reporter was told that the promised date passed")
    ]
    paused_at: datetime | None
    person_id: int | None
    person: str | None
    people: int
    parent: UUID | None
    escalation: int
    rating: int | None
    reporter: ReporterOut | None = None
    """In lists only where it was asked for; and only for those whose right includes it."""


class DeskPage(BaseModel):
    """A page of a list; `total`, where it was asked for: 1001 for more than a thousand, null for not known."""

    reports: list[DeskReport]
    next: str | None
    total: int | None = None
    searched: Searched | None = None
    """How `q` was understood; only where there is one."""


class DeskPhoto(BaseModel):
    """A photo of a report."""

    id: UUID
    state: Literal["received", "ready", "failed"]
    width: int
    height: int
    taken_at: datetime | None
    metres_away: float | None
    is_far: bool
    is_public: bool


class Fate(BaseModel):
    """What became of a message.

    `dropped_for` says why it was not sent: `paused`, its address takes nothing; `muted`, its reader wants to hear no
    more of the report; `moot`, there was nothing left to say.
    `bounce` says what came back: `hard`, the address takes nothing; `soft`, given up this time; `delayed`, still being
    tried; `ours`, mail of ours is not wanted there; `complaint`, called spam. `status` is the code (RFC 3463) that came
    with it. `opened_at` and `openings` are kept only where the installation notes opened links.
    """

    state: Literal["queued", "sent", "refused", "dropped", "bounced"]
    attempts: int
    problem: str | None
    dropped_for: Literal["paused", "muted", "moot"] | None
    bounce: Bounce | None
    status: str | None
    bounced_at: datetime | None
    opened_at: datetime | None
    openings: int
    created_at: datetime
    sent_at: datetime | None


class DeliveryOut(Fate):
    """A message and its fate; `resends` names the one that it repeats."""

    id: UUID
    kind: str
    channel: str
    subject: str
    resends: UUID | None


class Unreachable(BaseModel):
    """Since when mail to the reporter is not sent any more, and why; `pause` is what is lifted to try again."""

    pause: int
    since: datetime
    bounce: Bounce
    status: str


class NearReport(BaseModel):
    """A report nearby that may be the same trouble, open or solved lately, most likely first.

    `days` says how long before it was made (negative: after), `likeness` how alike the words are, `score` how likely it
    is the same trouble (both from 0 to 1), and `why` says so in words.
    """

    id: UUID
    number: str
    state: State
    category: str
    metres: float
    created_at: datetime
    solved_at: datetime | None
    days: float
    likeness: float
    score: float
    why: Named


class GroupMember(BaseModel):
    """A report of the same trouble."""

    id: UUID
    number: str
    state: State
    created_at: datetime


class Together(BaseModel):
    """The reports of the same trouble: the master that this one hangs on, and the duplicates that hang on it."""

    master: GroupMember | None
    duplicates: list[GroupMember]


class WatcherOut(BaseModel):
    """Somebody of the staff who watches a report."""

    id: int
    name: str


class MaterialUsed(BaseModel):
    """How much of a material has been used up."""

    material: str
    unit: str
    quantity: float


class FieldWork(BaseModel):
    """The time and the material that crews have spent on a report."""

    minutes: int
    materials: list[MaterialUsed]


class DeskReportFull(DeskReport):
    """Everything about a report."""

    watching: bool
    """Whether who asks watches it."""
    watchers: list[WatcherOut]

    public_description: str | None
    answers: dict[str, Any]
    suggestions: list[SuggestedCategory]
    routing: dict[str, Any]
    zones: list[ZoneOut]
    occurred_at: datetime | None
    timeline: list[StaffTimelineEntry]
    photos: list[DeskPhoto]
    deliveries: list[DeliveryOut]
    unreachable: Unreachable | None
    """Only where the reporter's address takes no mail."""
    near_duplicates: list[NearReport]
    together: Together
    handovers: list[HandoverOut]
    children: list[ChildOut]
    resolves_with_children: bool
    moves: list[State]
    field_work: FieldWork


class ConditionsIn(Strict):
    """Which reports, as the parameters of the list of reports say it; what is left out is left open."""

    worklist: Annotated[Worklist, Field(strict=False)] | None = None
    state: Annotated[list[Annotated[State, Field(strict=False)]], Field(max_length=20)] = Field(default_factory=list)
    is_open: bool | None = None
    is_late: bool | None = None
    is_emergency: bool | None = None
    category: Slug | None = None
    group: Slug | None = None
    department: Slug | None = None
    crew: Slug | None = None
    person: PersonId | None = None
    bbox: Annotated[str, StringConstraints(max_length=120)] | None = None
    created_from: Annotated[Moment, Field(strict=False)] | None = None
    created_until: Annotated[Moment, Field(strict=False)] | None = None
    q: Annotated[Line, StringConstraints(min_length=1, max_length=200)] | None = None

    def chosen(self) -> WorklistFilter:
        """As the worklists take it. Raises InvalidInput for a box that is none."""
        return WorklistFilter(
            **self.model_dump(exclude={"state", "bbox"}), states=tuple(self.state), bounds=box(self.bbox)
        )


def conditions_of(chosen: WorklistFilter) -> dict[str, Any]:
    """The same as `ConditionsIn` has it, JSON values."""
    written = chosen.as_json()
    if "states" in written:
        written["state"] = written.pop("states")
    if "bounds" in written:
        written["bbox"] = ",".join(str(degrees) for degrees in written.pop("bounds"))
    return written


class FilterIn(Strict):
    """A list to be kept; with a department it is shared with everybody there."""

    name: Annotated[Line, StringConstraints(max_length=LONGEST_NAME)]
    conditions: ConditionsIn
    order: Annotated[Order, Field(strict=False)] = Order.NEWEST
    department: Slug | None = None


class FilterOut(BaseModel):
    """A list that somebody keeps; `own`: who asks may change it. Without `conditions` it has to be made anew."""

    id: int
    name: str
    own: bool
    department: str | None
    order: Order
    conditions: ConditionsIn | None


class FilterCounted(FilterOut):
    """A kept list and how many reports it holds: 1001 stands for more than a thousand, null for not known."""

    count: int | None


class FiltersOut(BaseModel):
    """The lists one keeps, and those shared with one's departments."""

    filters: list[FilterOut]


class WorklistCounted(BaseModel):
    """A list that everybody at the desk has: 1001 stands for more than a thousand reports, null for not known."""

    name: Worklist
    title: Named
    count: int | None


class WorklistsOut(BaseModel):
    """What there is to do."""

    worklists: list[WorklistCounted]
    filters: list[FilterCounted]


class ColleagueOut(BaseModel):
    """Somebody of the staff: `handle` is what a note says after the @."""

    id: int
    name: str
    handle: str
    roles: list[str]
    departments: list[str]
    crews: list[str]
    looks_after_all: bool
    """Whether reports of any department may be given to them."""


class ColleaguesOut(BaseModel):
    """The colleagues of a municipality."""

    people: list[ColleagueOut]
