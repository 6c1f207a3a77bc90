"""Both kinds of mailbox, each a real one: what is ours goes, what is anybody else's stays and is looked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from city.errors import Unavailable
from city.outside import bounce_box
from city.settings import settings
from tests.imap_server import USER, WORD, imap_server, signed_in

Drop = Callable[[bytes], None]


@pytest.fixture(params=["maildir", "imap"])
def drop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Drop]:
    """Put a mail into the mailbox that the settings name."""

    def named(url: str) -> None:
        monkeypatch.setenv("LAMPIONE_BOUNCES", url)
        settings.cache_clear()

    if request.param == "maildir":
        named(f"maildir://{tmp_path}")
        for name in ("new", "cur", "tmp"):
            (tmp_path / name).mkdir()

        def write(raw: bytes) -> None:
            number = len(list((tmp_path / "new").iterdir()))
            (tmp_path / "new" / f"100{number}.test").write_bytes(raw)

        yield write
    else:
        with imap_server() as port:
            named(f"imap://{USER}:{WORD}@127.0.0.1:{port}/INBOX")

            def append(raw: bytes) -> None:
                with signed_in(port) as program:
                    program.append("INBOX", "", "", raw)

            yield append
    settings.cache_clear()


def lying(most: int = 10) -> list[bytes]:
    with bounce_box.opened() as box:
        assert box is not None
        return [mail.content for mail in box.unread(most)]


def test_a_mail_lies_there_until_it_is_put_away(drop: Drop) -> None:
    for word in (b"one", b"two", b"three"):
        drop(b"Subject: " + word + b"\r\n\r\n" + word + b"\r\n")
    assert [b"one" in mail for mail in lying(2)] == [True, False]
    assert len(lying()) == 3, "to look is not to take"
    with bounce_box.opened() as box:
        assert box is not None
        first, second, _ = box.unread(10)
        box.put_away(first.name, keep=False)
        box.put_away(second.name, keep=True)
    [left] = lying()
    assert b"three" in left


def test_a_large_mail_is_read_in_part(drop: Drop) -> None:
    drop(b"Subject: large\r\n\r\n" + b"x" * 70 * 6000)
    [mail] = lying()
    assert len(mail) == bounce_box.LONGEST_READ


def test_a_mailbox_that_is_away_says_so_and_quotes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("imap://127.0.0.1:1/INBOX", "imaps://127.0.0.1:1/INBOX"):
        monkeypatch.setenv("LAMPIONE_BOUNCES", url)
        settings.cache_clear()
        with pytest.raises(Unavailable, match="ConnectionRefusedError"):
            lying()
    with imap_server() as port:
        monkeypatch.setenv("LAMPIONE_BOUNCES", f"imap://{USER}:segretissima@127.0.0.1:{port}/INBOX")
        settings.cache_clear()
        with pytest.raises(Unavailable) as refused:
            lying()
    assert "segretissima" not in str(refused.value)
    settings.cache_clear()


def test_without_a_mailbox_there_is_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPIONE_BOUNCES", "")
    settings.cache_clear()
    with bounce_box.opened() as box:
        assert box is None
    settings.cache_clear()
