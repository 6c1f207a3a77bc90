"""Wrong or contradictory settings are refused at start, with the setting's name and the remedy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from city import settings as module
from city.database import check_roles, forget_engines
from city.errors import SettingsError
from city.settings import Settings

RIGHT: dict[str, Any] = {
    "database_url": "postgresql://lampione_app@db/lampione",
    "reader_url": "postgresql://lampione_reader@db/lampione",
    "secret": "0123456789abcdef0123456789abcdef",
}

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"database_url": ""}, "LAMPIONE_DATABASE_URL", "./lampione up"),
    ({"reader_url": ""}, "LAMPIONE_READER_URL", "lampione_reader"),
    ({"database_url": "mysql://db/lampione"}, "LAMPIONE_DATABASE_URL", "postgresql://"),
    ({"reader_url": "db.example.org"}, "LAMPIONE_READER_URL", "postgresql://"),
    ({"owner_url": "sqlite:///x"}, "LAMPIONE_OWNER_URL", "postgresql://"),
    ({"owner_url": RIGHT["database_url"]}, "LAMPIONE_OWNER_URL", "lampione_app"),
    ({"reader_url": RIGHT["database_url"]}, "LAMPIONE_READER_URL", "lampione_reader"),
    ({"secret": ""}, "LAMPIONE_SECRET", "openssl rand -hex 32"),
    ({"secret": "x" * 31}, "LAMPIONE_SECRET", "openssl rand -hex 32"),
    ({"public_url": "segnalazioni.comune.example.org"}, "LAMPIONE_PUBLIC_URL", "https://"),
    ({"public_url": "https://"}, "LAMPIONE_PUBLIC_URL", "https://"),
    ({"public_url": "ftp://comune.example.org"}, "LAMPIONE_PUBLIC_URL", "https://"),
    ({"mail_url": "imap://mail.example.org"}, "LAMPIONE_MAIL_URL", "smtp://"),
    ({"mail_from": "segnalazioni"}, "LAMPIONE_MAIL_FROM", "example.org"),
    ({"mail_from": "Comune <a@example.org>\r\nBcc: all@example.org"}, "LAMPIONE_MAIL_FROM", "example.org"),
    ({"photo_store": "ftp://store"}, "LAMPIONE_PHOTO_STORE", "s3://"),
    ({"language": "de"}, "LAMPIONE_LANGUAGE", "it, en"),
    ({"threads": 0}, "LAMPIONE_THREADS", "200"),
    ({"streams": -1}, "LAMPIONE_STREAMS", "10000"),
    ({"threads": 201}, "LAMPIONE_THREADS", "200"),
    ({"duplicate_radius_metres": -1}, "LAMPIONE_DUPLICATE_RADIUS_METRES", "500"),
    ({"duplicate_radius_metres": 1e9}, "LAMPIONE_DUPLICATE_RADIUS_METRES", "500"),
    ({"duplicate_radius_metres": float("nan")}, "LAMPIONE_DUPLICATE_RADIUS_METRES", "500"),
    ({"bounce_address": "comune.example.org"}, "LAMPIONE_BOUNCE_ADDRESS", "bounces@"),
    ({"bounce_address": "messaggi-tornati-indietro@example.org"}, "LAMPIONE_BOUNCE_ADDRESS", "15"),
    ({"bounce_address": "a@example.org\r\nBcc: all@example.org"}, "LAMPIONE_BOUNCE_ADDRESS", "bounces@"),
    ({"bounces": "pop3://example.org"}, "LAMPIONE_BOUNCES", "imaps://"),
    ({"bounces": "imaps:///INBOX"}, "LAMPIONE_BOUNCES", "maildir:///"),
    ({"geocoder_url": "nominatim.example.org"}, "LAMPIONE_GEOCODER_URL", "https://"),
    ({"slow_outside_seconds": 0}, "LAMPIONE_SLOW_OUTSIDE_SECONDS", "60"),
    ({"slow_outside_seconds": float("inf")}, "LAMPIONE_SLOW_OUTSIDE_SECONDS", "60"),
]


def test_what_is_right_passes() -> None:
    chosen = Settings(**RIGHT)
    assert chosen.check() is chosen
    Settings(**RIGHT, owner_url="postgresql://lampione_owner@db/lampione", mail_url="smtps://mail.example.org").check()


@pytest.mark.parametrize(("wrong", "name", "remedy"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_refused_by_name_with_the_remedy(wrong: dict[str, Any], name: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(**{**RIGHT, **wrong}).check()
    for language in ("it", "en"):
        sentence = caught.value.sentence(language)
        assert name in sentence
        assert remedy in sentence
    assert caught.value.sentence("it") != caught.value.sentence("en")


def test_no_refusal_repeats_a_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(**{**RIGHT, "secret": "troppo-corta", "mail_url": ""}).check()
    assert "troppo-corta" not in caught.value.sentence("it")
    with pytest.raises(SettingsError) as caught:
        Settings(**{**RIGHT, "database_url": "mysql://app:passwort@db/x"}).check()
    assert "passwort" not in caught.value.sentence("it")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith("LAMPIONE_"):
            monkeypatch.delenv(name)
    module.settings.cache_clear()
    monkeypatch.setattr(module, "settings", module.settings.__wrapped__)
    return monkeypatch


def test_what_cannot_be_read_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LAMPIONE_THREADS", "many")
    with pytest.raises(SettingsError) as caught:
        module.settings()
    assert "LAMPIONE_THREADS" in caught.value.sentence("it")


def test_an_empty_variable_is_none_at_all(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LAMPIONE_THREADS", "")
    environment.setenv("LAMPIONE_MAIL_URL", "")
    assert module.settings().threads == 16
    assert module.settings().mail.startswith("file:///")


def test_the_local_twins_live_under_var(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("LAMPIONE_VAR", str(tmp_path))
    chosen = module.settings()
    assert chosen.mail == (tmp_path / "mail").as_uri()
    assert chosen.photos == (tmp_path / "photos").as_uri()
    assert chosen.classifier == tmp_path / "classifier.npz"


@pytest.mark.parametrize("name", ["LAMPIONE_DATABASE_URL", "LAMPIONE_READER_URL"])
@pytest.mark.parametrize("role", ["lampione_admin", "lampione_owner"])
def test_a_role_that_could_look_past_the_guards_is_refused(
    database: str, monkeypatch: pytest.MonkeyPatch, name: str, role: str
) -> None:
    check_roles()
    strong = database.replace("lampione_admin", role)
    assert role in strong
    monkeypatch.setenv(name, strong)
    module.settings.cache_clear()
    forget_engines()
    try:
        with pytest.raises(SettingsError) as caught:
            check_roles()
    finally:
        monkeypatch.undo()
        module.settings.cache_clear()
        forget_engines()
    assert name in caught.value.sentence("it")
    assert role in caught.value.sentence("it")


def test_a_server_that_is_not_there_is_named(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert database
    monkeypatch.setenv("LAMPIONE_DATABASE_URL", "postgresql://lampione_app:parola@127.0.0.1:1/lampione")
    module.settings.cache_clear()
    forget_engines()
    try:
        with pytest.raises(SettingsError) as caught:
            check_roles()
    finally:
        monkeypatch.undo()
        module.settings.cache_clear()
        forget_engines()
    assert "LAMPIONE_DATABASE_URL" in caught.value.sentence("it")
    assert "parola" not in caught.value.sentence("it")
