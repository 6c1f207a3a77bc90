"""The benchmark of live changes hears what is told, counts what is missing, and knows its peer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bench import bare_stream, stream
from bench.stream import Crowd, request, told
from city.errors import Unavailable
from commands import bench_ground
from commands.bench_ground import serving_process


@pytest.fixture
def bare(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    monkeypatch.setattr(bench_ground, "FOLDER", tmp_path)
    monkeypatch.setattr(stream, "CHANGES", 5)
    monkeypatch.setattr(stream, "CHANGES_PER_SECOND", 50.0)
    with serving_process("bench.bare_stream:create_app", {bare_stream.URL: database}) as (address, process):
        assert stream.resident(process) > 1
        yield address, database


def test_every_client_hears_every_change_once(bare: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    address, database = bare
    with psycopg.connect(database, autocommit=True) as admin, Crowd.of(address, [request("/stream")] * 7) as crowd:
        admin.execute(bare_stream.TABLE_SQL)
        try:

            def change() -> float:
                bare_stream.change(admin, 1)
                return 0.0

            heard = told(crowd, change)
            assert len(heard.latencies) == 5 * 7
            assert heard.milliseconds(0.5) <= heard.milliseconds(0.99) == heard.latencies[-1]
            monkeypatch.setattr(stream, "LONGEST_ANSWER_SECONDS", 0.2)
            with pytest.raises(Unavailable):
                told(crowd, lambda: 0.0)  # nothing is changed, nothing is told

            def change_twice() -> float:
                change()
                return change()

            with pytest.raises(Unavailable):
                told(crowd, change_twice)
        finally:
            admin.execute("DROP TABLE bare_change")
