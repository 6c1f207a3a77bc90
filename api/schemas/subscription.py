"""What somebody wants to hear of, by which channel, and how."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.base import Degrees, Line, Slug, Strict, a_fiscal_code
from city.messages.subscriptions.subscribing import Wish
from city.outside.strangers import LONGEST_ADDRESS
from city.outside.web_push import Browser
from city.registry.sign_in import fiscal_codes
from city.reports.identity import public_number
from geo.place import Place

Email = Annotated[Line, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Language = Literal["it", "en"]
Rhythm = Literal["at_once", "daily"]


class ZoneNamed(Strict):
    """A zone, by its layer and its code there."""

    layer: Slug
    code: Annotated[Line, StringConstraints(min_length=1, max_length=63)]


class BrowserKeys(Strict):
    """A browser's public key, and the secret it shares with us."""

    p256dh: Annotated[Line, StringConstraints(max_length=100)]
    auth: Annotated[Line, StringConstraints(max_length=40)]


class BrowserIn(Strict):
    """A browser's subscription, as `PushSubscription.toJSON()` gives it."""

    endpoint: Annotated[Line, StringConstraints(max_length=LONGEST_ADDRESS)]
    keys: BrowserKeys
    expirationTime: Annotated[float | None, Field(strict=False)] = None  # noqa: N815  (the browsers' name)

    def browser(self) -> Browser:
        """As the city knows it."""
        return Browser(self.endpoint, self.keys.p256dh.rstrip("="), self.keys.auth.rstrip("="))


class WishIn(Strict):
    """What somebody wants to hear of: one of `report`, a circle, `polygon` or `zone`; none of them: everything."""

    municipality: Slug
    rhythm: Rhythm = "at_once"
    report: Annotated[Line, StringConstraints(max_length=40)] | None = None
    lon: Degrees | None = None
    lat: Degrees | None = None
    metres: Annotated[float, Field(strict=False, allow_inf_nan=False)] | None = None
    polygon: Annotated[dict[str, Any], Field(description="GeoJSON Polygon or MultiPolygon")] | None = None
    zone: ZoneNamed | None = None
    groups: Annotated[list[Slug], Field(max_length=30)] | None = None
    reports: bool = True
    notices: bool = True

    @model_validator(mode="after")
    def _one(self) -> Self:
        circle = (self.lon is not None, self.lat is not None, self.metres is not None)
        chosen = [self.report is not None, any(circle), self.polygon is not None, self.zone is not None]
        if chosen.count(True) > 1 or any(circle) != all(circle):
            raise PydanticCustomError("one_of", "one thing")
        return self

    def wish(self) -> Wish:
        """As the city knows it."""
        return Wish(
            report=public_number(self.report) if self.report else None,
            place=Place(self.lon, self.lat) if self.lon is not None and self.lat is not None else None,
            metres=self.metres,
            polygon=orjson.dumps(self.polygon).decode() if self.polygon is not None else None,
            zone=f"{self.zone.layer}/{self.zone.code}" if self.zone else None,
            groups=self.groups,
            reports=self.reports,
            notices=self.notices,
        )


class SubscriptionIn(WishIn):
    """What somebody wants to hear of, by mail (`email`), in a browser (`push`), or in app IO (`fiscal_code`, one
    `report` only).

    One of `report`, a circle, `polygon` or `zone`; none of them: everything.
    """

    email: Email | None = None
    push: BrowserIn | None = None
    fiscal_code: Annotated[str, Field(max_length=fiscal_codes.LONGEST), AfterValidator(a_fiscal_code)] | None = None
    language: Language = "it"

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if [self.email, self.push, self.fiscal_code].count(None) != 2:  # noqa: PLR2004
            raise PydanticCustomError("one_channel", "one address")
        return self


class SubscriberPut(Strict):
    """How somebody wants to be told."""

    language: Language
    rhythm: Rhythm
    quiet_from: Annotated[time, Field(strict=False)] | None = None
    quiet_until: Annotated[time, Field(strict=False)] | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise PydanticCustomError("quiet_both", "both")
        return self

    @property
    def quiet(self) -> tuple[time, time] | None:
        """From when to when nothing is sent."""
        if self.quiet_from is None or self.quiet_until is None:
            return None
        return self.quiet_from.replace(tzinfo=None), self.quiet_until.replace(tzinfo=None)


class SubscriptionListed(BaseModel):
    """One thing somebody wants to hear of."""

    id: int
    kind: Literal["report", "circle", "polygon", "zone", "municipality"]
    says: str
    """In words."""
    groups: list[str] | None
    reports: bool
    notices: bool


class SubscriptionConfirmed(SubscriptionListed):
    """What somebody has said yes to, and the key with which it is changed or ended: the `token` of other operations."""

    key: str


class PushKey(BaseModel):
    """What a browser wants to know to subscribe, its `applicationServerKey`; another one means: subscribe anew."""

    key: str


class SubscriberOut(BaseModel):
    """Somebody's subscriptions, and how they want to be told."""

    municipality: str
    language: Language
    rhythm: Rhythm
    quiet_from: str | None
    quiet_until: str | None
    paused_at: datetime | None
    """Since when nothing is sent, because the address took no mail; whatever is saved here lifts the pause."""
    subscriptions: list[SubscriptionListed]
