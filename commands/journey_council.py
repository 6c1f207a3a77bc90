"""The council's part of the journey: what the figures tell of the report just solved, and the month on paper."""

from __future__ import annotations

from typing import Any, Final

import httpx

from city.texts import said
from commands.journey_steps import expect, good

COUNCILLOR: Final = "consiglio@pesaro.example.org"
PAPER_SECONDS: Final = 150.0
"""A PDF may take two minutes on a small machine that does much else."""
UNAVAILABLE: Final = 503


class Council:
    """A councillor of the municipality in which the report was made, and the press beside them."""

    def __init__(self, client: httpx.Client, password: str) -> None:
        self._client, self._password = client, password

    def figures(self, department: str) -> str:
        """Signed in, a councillor sees this month's figures; the report just solved by `department` is among them."""
        signed = good(self._client.post("/api/v1/session", json={"email": COUNCILLOR, "password": self._password}))
        staff = {"Authorization": f"Bearer {signed.json()['token']}"}
        month = self._asked("flow", staff)["rows"][-1]
        expect(month["solved"] >= 1, "nothing was solved this month")
        this_month = {"from": month["month"], "by": "department"}
        rows = {row["key"]: row for row in self._asked("zones", staff, **this_month)["rows"]}
        expect(rows[department]["solved"] >= 1, f"{department} has solved nothing")
        for row in self._asked("zones", {}, **this_month)["rows"]:
            expect(row["received"] not in range(1, 5), f"the public is told of {row['received']} in {row['key']}")
        ages = self._asked("ageing", staff)["rows"][0]
        return said(
            "demo.figures", received=month["received"], solved=month["solved"], open=ages["open"], late=ages["late"]
        )

    def printed(self) -> str:
        """Last month's report, open to everybody: as a page, and on paper where this machine can print."""
        asked = {"municipality": "pesaro", "language": "it"}
        page = good(self._client.get("/api/v1/insight/report.html", params=asked, timeout=PAPER_SECONDS))
        expect("data:image/svg+xml" in page.text and "<script" not in page.text, "a page without its drawings")
        sheet = self._client.get("/api/v1/insight/report.pdf", params=asked, timeout=PAPER_SECONDS)
        if sheet.status_code == UNAVAILABLE:
            return str(sheet.json()["detail"])
        expect(good(sheet).content.startswith(b"%PDF-"), "no PDF")
        name = sheet.headers["content-disposition"].partition("filename=")[2].strip('"')
        return f"{name}, {len(sheet.content) // 1000} kB"

    def _asked(self, what: str, headers: dict[str, str], **parameters: str) -> Any:
        path = f"/api/v1/insight/{what}"
        return good(self._client.get(path, params={"municipality": "pesaro", **parameters}, headers=headers)).json()
