"""A database with the job table, of a cluster of its own: some tests restart it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from city.database import forget_engines
from city.settings import settings
from commands.cluster import Cluster
from commands.migrating import migrate, prepare_roles

DATABASE = "jobs"
HAPPENED = """
CREATE TABLE happened (what text, job text, worker integer, at timestamptz NOT NULL DEFAULT clock_timestamp());
GRANT SELECT, INSERT, DELETE ON happened TO lampione_app;
"""


@pytest.fixture(scope="session")
def job_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("var") / "postgres", durable=False)
    with cluster.serving():
        cluster.create_database(DATABASE)
        prepare_roles(cluster.url(database=DATABASE))
        migrate(cluster.url("lampione_owner", DATABASE))
        with psycopg.connect(cluster.url(database=DATABASE)) as connection:
            connection.execute(HAPPENED)
        yield cluster


@pytest.fixture
def url(job_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The database, empty of jobs, as the application's role; the city's own doors lead to it as well."""
    address = job_cluster.url("lampione_app", DATABASE)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DELETE FROM job")
        connection.execute("DELETE FROM happened")
    monkeypatch.setenv("LAMPIONE_DATABASE_URL", address)
    settings.cache_clear()
    forget_engines()
    yield address
    forget_engines()
    settings.cache_clear()


@pytest.fixture
def look(url: str) -> Iterator[psycopg.Connection]:
    """A connection of the test's own."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def wait_until() -> Callable[..., None]:
    def wait(question: Callable[[], object], *, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not question():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.02)

    return wait
