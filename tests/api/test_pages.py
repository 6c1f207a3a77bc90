"""The plain pages: in the language that their address asks for, and after a form in the same one."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, reported


@pytest.mark.parametrize(
    ("path", "italian", "english"),
    [
        ("/r/{number}?token={token}", "Che cosa ha scritto", "What you wrote"),
        ("/r/{number}?token=wrong", "Non trovato", "Not found"),
        ("/r/{number}/mute/wrong?", "Non trovato", "Not found"),
        ("/subscriptions/wrong?", "Non trovato", "Not found"),
        ("/notices/none?", "Non trovato", "Not found"),
        ("/h/wrong?", "Non trovato", "Not found"),
        ("/password/wrong?", "Nuova password", "New password"),
        ("/?", "Mappa delle segnalazioni", "Map of reports"),
    ],
)
def test_a_page_speaks_the_language_its_address_asks_for(
    client: TestClient, path: str, italian: str, english: str
) -> None:
    report = reported(client, COAST, "buca", category="pothole")
    path = path.format(number=report["number"], token=report["receipt_token"])
    for language, words in (("it", italian), ("en", english)):
        for browser in ("it", "en"):
            page = client.get(f"{path}&language={language}", headers={"Accept-Language": browser}).text
            assert words in page, (language, browser)
            assert f'<html lang="{language}">' in page
        assert words in client.get(f"{path}&language=xx", headers={"Accept-Language": language}).text


def test_a_form_is_answered_in_the_language_of_its_page(client: TestClient) -> None:
    report = reported(client, COAST, "buca", category="pothole", email="anna@example.org")
    page = f"/r/{report['number']}"
    token = {"token": report["receipt_token"]}
    shown = client.get(page, params=token | {"language": "it"}).text
    assert f'action="{page}/messages?language=it"' in shown
    silent = client.post(f"{page}/messages?language=it", data=token | {"mute": "yes"}).text
    assert "Non Le scriviamo più." in silent
    withdrawn = client.post(f"{page}?language=it", data=token | {"to": "withdrawn"}).text
    assert "Ritirata" in withdrawn
