"""Letters to browsers: as much as a lock screen shows, and where to read on.

A browser's subscription comes from a stranger, and so may lead anywhere: it is called as a stranger is, once to ask
for a yes that only that browser can read, and not again before it was said. Of the endpoint the database holds a digest
(the address) and, sealed, the rest: to know it is to be able to disturb somebody.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import delete, select

from city.database import WriteSession
from city.errors import Refused, Unavailable
from city.messages.letter import Letter
from city.messages.subscriptions.tables import Subscriber
from city.messages.tables import Delivery
from city.outside.strangers import Answer, Door, NotAllowed, check_door
from city.outside.web_push import MOST_BYTES, Browser, Parcel, check_keys, post
from city.registry.municipality import MunicipalityView
from city.sealing import sealed, unsealed

CHANNEL: Final = "push"
WITHIN: Final = timedelta(days=1)
"""How long news is worth bringing to a lock screen."""
LONG, SHORT = 600, 120
"""Letters of what happened, at first and where that is too much for a push service."""
TOPIC_LETTERS: Final = 32
_GONE: Final = frozenset({404, 410})
_TOO_LARGE: Final = 413
_PURPOSE: Final = "browser"


def address_of(browser: Browser) -> str:
    """What a browser is known by; with other keys it is another one."""
    return hashlib.sha256("\n".join(browser).encode()).hexdigest()


def sealed_browser(browser: Browser) -> bytes:
    """The browser as it is kept."""
    return sealed(orjson.dumps([*browser]).decode(), _PURPOSE)


def door_of(browser: Browser) -> Door:
    """Where it is reached: never in a private network, whatever hosts of ours are allowed to others."""
    return Door(browser.endpoint)


def check(browser: Browser) -> None:
    """Raises InvalidInput where it is no browser, or one we never call.

    Its host's name is resolved here: to be asked outside of any transaction.
    """
    check_keys(browser)
    check_door(door_of(browser), field="push.endpoint")


def by_push(session: WriteSession, municipality: MunicipalityView, delivery: Delivery, letter: Letter) -> str:
    """Bring a letter to a browser; one that has gone away for good is forgotten with all it wanted to hear."""
    found = session.scalar(
        select(Subscriber).where(
            Subscriber.municipality_id == municipality.id,
            Subscriber.channel == CHANNEL,
            Subscriber.address == delivery.address,
        )
    )
    if found is None or found.sealed is None:
        raise Refused("push.gone")
    if delivery.created_at < datetime.now(UTC) - WITHIN:
        raise Refused("push.too_late")
    browser = Browser(*orjson.loads(unsealed(found.sealed, _PURPOSE)))
    try:
        answer = _post(browser, letter, found)
    except NotAllowed as error:
        raise Refused("push.refused", problem=error) from error
    if answer.status in _GONE:
        session.execute(
            delete(Subscriber).where(Subscriber.municipality_id == municipality.id, Subscriber.id == found.id)
        )
        raise Refused("push.gone")
    if answer.is_final:
        raise Refused("push.refused", problem=str(answer.status))
    if not answer.is_good:
        raise Unavailable("push.silent", problem=str(answer.status))
    return str(answer.status)


def _post(browser: Browser, letter: Letter, to: Subscriber) -> Answer:
    topic = _topic(to, letter.topic)
    urgency = "low" if to.rhythm == "daily" else "normal"
    for length in (LONG, SHORT):
        content = content_of(letter, topic, to.language, length)
        answer = post(door_of(browser), browser, Parcel(content, int(WITHIN.total_seconds()), topic, urgency))
        if answer.status != _TOO_LARGE:
            break
    return answer


def content_of(letter: Letter, tag: str, language: str, length: int) -> bytes:
    """What the page's worker in the browser is told, as JSON; `length` letters of what happened at most."""
    lines = [*letter.happened, *(f"{name}: {value}" for name, value in letter.facts)]
    said: dict[str, Any] = {
        "title": letter.heading if letter.confirm else letter.subject,
        "body": _short("\n".join(lines), length),
        "link": letter.link,
        "tag": tag,
        "language": language,
        "confirm": letter.confirm,
        "unsubscribe": letter.unsubscribe,
    }
    content = orjson.dumps({name: value for name, value in said.items() if value})
    return content if len(content) <= MOST_BYTES else content_of(letter, tag, language, length // 2)


def _topic(to: Subscriber, about: str) -> str:
    """The push service learns from it only that two messages are about the same."""
    if not about:
        return ""
    digest = hashlib.sha256(to.id.bytes + about.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:TOPIC_LETTERS]


def _short(words: str, length: int) -> str:
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"
