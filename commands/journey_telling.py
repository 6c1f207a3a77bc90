"""A neighbour's part of the journey: somebody else asks to hear of the street, and of what the municipality does there.

What the neighbour hears comes by mail; where the mails of this installation leave for a real server, the journey cannot
read them, and only sees that they were sent.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx

from city.settings import settings
from city.texts import said, text
from commands.journey_steps import expect, good, patiently
from geo.place import Place

HEAD: Final = "responsabile.lavoripubblici@pesaro.example.org"
METRES: Final = 300
_LINK: Final = re.compile(r"https?://\S+")


class Neighbour:
    """Somebody who lives where the report `number` was made."""

    def __init__(self, client: httpx.Client, password: str, place: Place, number: str) -> None:
        self._client, self._password, self._place, self._number = client, password, place, number
        self._address = f"vicina+{number.lower()}@example.org"

    def asked(self) -> str:
        """Asks to hear of 300 m around, and says yes to the mail that asks whether it was really them."""
        place = {"lon": self._place.lon, "lat": self._place.lat, "metres": METRES}
        wish = place | {"municipality": "pesaro", "email": self._address, "language": "it"}
        good(self._client.post("/api/v1/subscriptions", json=wish))
        if not self._reads_mails():
            return said("demo.sent_away")
        page = self._client.get(self._link(patiently(lambda: self._mail(text("subscriptions.confirm_heading")))))
        good(self._client.post(str(good(page).url)))
        return said("demo.asked", metres=METRES)

    def heard(self) -> str:
        """Hears that the report was solved, in one mail that one click ends."""
        if not self._reads_mails():
            return said("demo.sent_away")
        mail = patiently(lambda: self._mail(self._number))
        expect("List-Unsubscribe-Post" in mail, "no one-click end")
        return f"«{mail['Subject']}»"

    def announced(self) -> str:
        """A head of department tells everybody around of the works; the neighbour gets the notice once."""
        signed = good(self._client.post("/api/v1/session", json={"email": HEAD, "password": self._password})).json()
        staff = {"Authorization": f"Bearer {signed['token']}"}
        written = good(self._client.post("/api/v1/desk/notices", json=self._notice(), headers=staff))
        at = f"/api/v1/desk/notices/{written.json()['id']}"
        told = good(self._client.get(f"{at}/preview", headers=staff)).json()
        version = staff | {"If-Match": written.headers["etag"]}
        number = good(self._client.post(f"{at}/publication", json={}, headers=version)).json()["number"]
        public = good(self._client.get("/api/v1/notices", params={"municipality": "pesaro"})).json()
        expect(number in {one["number"] for one in public["notices"]}, "the notice is not in the public list")
        if self._reads_mails():
            patiently(lambda: self._mail(text("journey.notice_title", language="it")))
            found = [one for one in self._mails() if text("journey.notice_title", language="it") in self._words(one)]
            expect(len(found) == 1, f"the notice came {len(found)} times")
        return said("demo.announced", number=number, recipients=told["recipients"])

    def _notice(self) -> dict[str, Any]:
        lon, lat, step = self._place.lon, self._place.lat, 0.002
        corners = [(-step, -step), (step, -step), (step, step), (-step, step), (-step, -step)]
        ring = [[lon + east, lat + north] for east, north in corners]
        return {
            "kind": "works",
            "title": {language: text("journey.notice_title", language=language) for language in ("it", "en")},
            "text": {language: text("journey.notice_text", language=language) for language in ("it", "en")},
            "area": {"drawn": [{"geometry": {"type": "Polygon", "coordinates": [ring]}}]},
            "starts_at": datetime.now(UTC).isoformat(),
            "ends_at": (datetime.now(UTC) + timedelta(days=2)).isoformat(),
            "department": "public-works",
        }

    def _reads_mails(self) -> bool:
        return urlsplit(settings().mail).scheme == "file"

    def _mails(self) -> Iterator[EmailMessage]:
        folder = Path(unquote(urlsplit(settings().mail).path))
        for path in sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime, reverse=True)[:50]:
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            if str(message["To"]) == self._address:
                yield message

    def _mail(self, words: str) -> EmailMessage | None:
        return next((one for one in self._mails() if words in self._words(one)), None)

    def _words(self, message: EmailMessage) -> str:
        plain = message.get_body(("plain",))
        return f"{message['Subject']}\n{plain.get_content() if plain else ''}"

    def _link(self, message: EmailMessage) -> str:
        link = _LINK.search(self._words(message))
        expect(link is not None, "no link in the mail")
        return link.group() if link else ""
