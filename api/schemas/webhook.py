"""The shapes of webhooks: how administrators keep them, and what an endpoint is sent."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.base import Line, Moment, Named, Slug, Strict
from city.messages.hooks.categories import CATEGORY_EVENTS
from city.messages.hooks.events import REPORT_EVENTS
from city.messages.hooks.keeping import HookFields
from city.messages.hooks.log import Counts
from city.messages.hooks.noticing import NOTICE_EVENTS
from city.messages.hooks.replays import Progress
from city.messages.hooks.tables import HookDelivery, Webhook
from city.outside.strangers import LONGEST_ADDRESS

Filter = Annotated[list[Annotated[Line, StringConstraints(max_length=130)]], Field(max_length=50)]
Fate = Literal["waiting", "sent", "dead", "dropped"]
_EVENTS: Final = ", ".join((*REPORT_EVENTS, *NOTICE_EVENTS, *CATEGORY_EVENTS))


class WebhookPut(Strict):
    """A webhook, as it should be. An empty filter lets everything through."""

    address: Annotated[
        Line,
        StringConstraints(max_length=LONGEST_ADDRESS),
        Field(description="https; in a private network only where the province allows the host, there http as well"),
    ]
    description: Annotated[Line, StringConstraints(max_length=200)] = ""
    events: Annotated[Filter, Field(description=f"of: {_EVENTS}")] = Field(default_factory=list)
    groups: Annotated[Filter, Field(description="groups of categories")] = Field(default_factory=list)
    departments: Filter = Field(default_factory=list)
    zones: Annotated[Filter, Field(description="as layer/code", examples=[["districts/1"]])] = Field(
        default_factory=list
    )
    states: Annotated[Filter, Field(description="of reports, after the event: it is then told of no notice")] = Field(
        default_factory=list
    )
    is_public_only: Annotated[bool, Field(description="only what everybody may see; false: internal events too")] = True
    has_notes: Annotated[bool, Field(description="whether it is told the words of staff's notes")] = False
    is_active: bool = True

    def fields(self) -> HookFields:
        """As the city takes it."""
        return HookFields(**self.model_dump())


class WebhookOut(BaseModel):
    """A webhook, how it fares, and how many events wait, have failed so far, or are dead letters (10000: or more)."""

    id: UUID
    address: str
    description: str
    events: list[str]
    groups: list[str]
    departments: list[str]
    zones: list[str]
    states: list[str]
    is_public_only: bool
    has_notes: bool
    is_active: bool
    off_reason: Annotated[
        Literal["gone", "failing"] | None, Field(description="it answered 410, or failed for three days")
    ]
    failing_since: datetime | None
    rests_until: Annotated[datetime | None, Field(description="not called before, after several failures")]
    old_secret_until: Annotated[datetime | None, Field(description="signed with both secrets until then")]
    waiting: int
    failed: int
    dead: int
    created_at: datetime

    @classmethod
    def of(cls, hook: Webhook, counts: Counts) -> WebhookOut:
        """As it is shown."""
        shown = {name: getattr(hook, name) for name in cls.model_fields if hasattr(hook, name)}
        return cls(**shown | {"rests_until": hook.rests_until if hook.failures else None}, **counts._asdict())


class WebhookMade(WebhookOut):
    """A new webhook with its secret."""

    secret: Annotated[str, Field(description="shown this once", examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])]


class SecretOut(BaseModel):
    """A new secret; until then the old one is good too, and each event bears both signatures."""

    secret: Annotated[str, Field(description="shown this once")]
    old_secret_until: datetime


class TestOut(BaseModel):
    """How the endpoint answered to a `ping`."""

    is_good: bool
    status: int | None
    problem: Annotated[str | None, Field(description="what kept it from being answered well: a code")]
    milliseconds: int
    answer: Annotated[str, Field(description="its first 500 bytes")]


class DeliveryOut(BaseModel):
    """One event for one webhook, and what became of it."""

    id: int
    message_id: Annotated[str, Field(description="the header `webhook-id`: the same at each repeat")]
    event: str
    subject_id: Annotated[UUID, Field(description="of the report or notice; of a category a number")]
    happened_at: datetime
    state: Fate
    attempts: int
    status: Annotated[int | None, Field(description="of the last answer")]
    problem: str | None
    milliseconds: int | None
    next_at: Annotated[datetime | None, Field(description="the next try")]
    sent_at: datetime | None
    is_replay: bool

    @classmethod
    def of(cls, delivery: HookDelivery, message_id: str) -> DeliveryOut:
        """As it is shown."""
        shown = {name: getattr(delivery, name) for name in cls.model_fields if hasattr(delivery, name)}
        return cls(
            **shown | {"next_at": delivery.next_at if delivery.state == "waiting" else None},
            message_id=message_id,
        )


class DeliveryPage(BaseModel):
    """The log, the newest first."""

    deliveries: list[DeliveryOut]
    next: Annotated[int | None, Field(description="for `before`; null on the last page")]


class SinceIn(Strict):
    """From when."""

    since: Annotated[Moment, Field(strict=False)]


class ResentOut(BaseModel):
    """How many events are sent again."""

    events: int


class ReplayOut(BaseModel):
    """A replay and how far it is: entries of the timeline read, events of them queued, of these still waiting."""

    id: UUID
    since: datetime
    state: Literal["running", "done", "stopped"]
    examined: int
    queued: int
    waiting: int
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, progress: Progress) -> ReplayOut:
        """As it is shown."""
        shown = {name: getattr(progress.replay, name) for name in cls.model_fields if name != "waiting"}
        return cls(**shown, waiting=progress.waiting)


class PlaceTold(BaseModel):
    """Degrees, WGS84."""

    lon: float
    lat: float


class LinksTold(BaseModel):
    """Where to read the report: as everybody, and (internal webhooks) as staff."""

    public: str | None
    desk: str | None = None


class ReportTold(BaseModel):
    """The report as it is when the event is sent. Nothing of who reported, and nobody's words."""

    id: UUID
    number: str
    state: str
    is_open: bool
    version: Annotated[int, Field(description="goes up with each change: what bears a lower one is older")]
    category: str
    group: str
    department: str
    zones: list[str]
    place: PlaceTold
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    promised_at: datetime | None
    links: LinksTold
    crew: Annotated[str | None, Field(description="internal webhooks only, as the next two")] = None
    is_emergency: bool = False
    is_public: bool = True


class EventData(BaseModel):
    """What happened to which report."""

    municipality: Slug
    what: Annotated[str, Field(description="the timeline's own word")]
    actor: str
    is_public: Annotated[bool, Field(description="whether everybody may know that it happened")]
    from_: Annotated[str | None, Field(alias="from", description="the state before")]
    to: Annotated[str | None, Field(description="the state after")]
    change: Annotated[
        dict[str, Any], Field(description="slugs, numbers and dates: from, to, department, crew, until …")
    ]
    is_replay: bool
    note: Annotated[str | None, Field(description="only where the webhook has that right")] = None
    report: ReportTold


class EventTold(BaseModel):
    """A signed event (https://www.standardwebhooks.com): verify `webhook-signature` before reading it.

    Each comes at least once. The events of a report come in the order in which they happened; but one that is refused
    for half an hour is overtaken, and replays and what is sent again come when they do: `report.version` tells.
    """

    type: Annotated[str, Field(examples=["report.moved"])]
    timestamp: Annotated[datetime, Field(description="when it happened")]
    data: EventData


class NoticeLinksTold(BaseModel):
    """Where everybody reads the notice."""

    public: str


class NoticeTold(BaseModel):
    """The notice as it is when the event is sent."""

    id: UUID
    number: str
    kind: str
    state: str
    version: int
    title: Named
    department: str
    groups: Annotated[list[str] | None, Field(description="null: it is everybody's concern")]
    zones: Annotated[list[str], Field(description="those that its area meets")]
    is_everywhere: bool
    is_urgent: bool
    starts_at: datetime
    ends_at: datetime | None
    expected_on: date | None
    links: NoticeLinksTold


class NoticeData(BaseModel):
    """Which notice."""

    municipality: Slug
    is_replay: bool
    notice: NoticeTold


class NoticeEventTold(BaseModel):
    """A signed event of a notice: people are told of it."""

    type: Annotated[str, Field(examples=["notice.published"])]
    timestamp: datetime
    data: NoticeData


class CategoryData(BaseModel):
    """Which category, and as how public its reports are now."""

    municipality: Slug
    category: str
    group: str
    privacy: Literal["public", "coarse", "hidden"]


class CategoryEventTold(BaseModel):
    """A signed event of a category: its reports have become public, coarse or hidden, without an event of their own.

    Whoever keeps copies of them reads them anew, and throws away what is there no more. It comes whatever zones,
    departments and states the webhook has chosen, and in no replay.
    """

    type: Annotated[str, Field(examples=["category.republished"])]
    timestamp: datetime
    data: CategoryData
