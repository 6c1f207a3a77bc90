from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from city.errors import Refused, Unavailable
from city.messages.app_io import markdown
from city.messages.letter import Letter
from city.outside.app_io import LONGEST_TEXT, SHORTEST_TEXT, FolderAppIo, Message, RealAppIo
from tests.io_service import KEY, serving
from tests.trials import any_port

ANNA = "RSSMRA80A01H501U"
MESSAGE = Message("7f1c", "Segnalazione PS-2026-1 ricevuta", "x" * 100)


def letter(happened: list[str], **more: str) -> Letter:
    return Letter(subject="s", heading="h", happened=happened, **{"footer": "", **more})


@pytest.mark.parametrize("happened", [[], ["a"], ["*" * 30_000], ["a" * 9_000, "b" * 9_000], ["x"] * 9_000])
def test_a_text_is_as_long_as_the_app_wants_it(happened: list[str]) -> None:
    said = markdown(letter(happened, link="https://example.org/r?token=a_b", button="Segui", footer="Ciao."))
    assert SHORTEST_TEXT <= len(said) <= LONGEST_TEXT
    assert "[Segui](https://example.org/r?token=a_b)" in said, "the link is not cut off"


def test_the_local_twin_writes_a_file_a_message(tmp_path: Path) -> None:
    twin = FolderAppIo(tmp_path / "io")
    assert twin.send("", ANNA, MESSAGE) == twin.send("", ANNA, MESSAGE)
    files = list((tmp_path / "io").iterdir())
    assert [file.name for file in files] == ["7f1c.json"]
    assert orjson.loads(files[0].read_bytes())["fiscal_code"] == ANNA


def test_what_may_be_tried_again_and_what_may_not() -> None:
    with serving() as service:
        real = RealAppIo(service.url)
        with pytest.raises(Refused):
            real.send(KEY, ANNA, MESSAGE)
        service.people[ANNA] = True
        assert real.send(KEY, ANNA, MESSAGE) == "01BX9NSMKVXXS5PSP2FATZM001"
        with pytest.raises(Refused):
            real.send("wrong", ANNA, MESSAGE)
        with pytest.raises(Refused):
            real.send(KEY, ANNA, Message("1", "short", "short"))
        for trouble in ([429], [503]):
            service.troubles = trouble
            with pytest.raises(Unavailable):
                real.send(KEY, ANNA, MESSAGE)
    with pytest.raises(Unavailable):
        RealAppIo(f"http://127.0.0.1:{any_port()}").send(KEY, ANNA, MESSAGE)
