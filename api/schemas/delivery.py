"""The shapes of what became of messages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.base import Line, Moment, Strict
from api.schemas.desk import DeliveryOut
from city.outside.mail_status import Bounce

Email = Annotated[Line, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
State = Literal["queued", "sent", "refused", "dropped", "bounced"]
KindName = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9_]+$")]


class ReportNamed(BaseModel):
    """Which report it is about."""

    id: UUID
    number: str


class DeliveryListed(DeliveryOut):
    """A message of the log.

    `address` is a hint such as `a…@example.org`: whose it is stands with the report, for those who may see it.
    `resent_as` is the message that repeats it, `is_paused` whether its address takes nothing at present.
    """

    address: str
    report: ReportNamed | None
    resent_as: UUID | None
    is_paused: bool


class FateCount(BaseModel):
    """How many messages have this fate, counting the newest hundred thousand."""

    state: State
    bounce: Bounce | None
    dropped_for: Literal["paused", "muted", "moot"] | None
    count: int


class DeliveryPage(BaseModel):
    """A page of the log; `counts` where they were asked for."""

    deliveries: list[DeliveryListed]
    next: str | None
    counts: list[FateCount] | None = None


class ResendIn(Strict):
    """What failed in which time, perhaps of one kind only; `preview`: only say what would be sent."""

    since: Annotated[Moment, Field(strict=False)]
    until: Annotated[Moment, Field(strict=False)] | None = None
    kind: KindName | None = None
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None
    preview: bool = False


class ResentOut(BaseModel):
    """How many letters of each kind are sent again, or would be; `unreachable`: how many are not, because their address
    takes no mail or is not known any more. `next`: there are more than are sent at once, go on with that `cursor`.
    """

    letters: dict[str, int]
    unreachable: int
    next: str | None


class EmailIn(Strict):
    """The right address."""

    email: Email


class PausedOut(BaseModel):
    """An address that takes no mail, as a hint."""

    id: int
    address: str
    bounce: Bounce
    status: str
    since: datetime


class PausedPage(BaseModel):
    """A page of addresses that take no mail; `next` is the `after` of the next page."""

    addresses: list[PausedOut]
    next: int | None
