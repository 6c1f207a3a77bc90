"""Real parts for tests: PostGIS migrated to head, a real worker, a real SMTP server, a closed outside world.

One private cluster for the whole run, without fsync; each test process clones its databases from one template that
holds the demo's registry. Between tests the reports are deleted; a test that changes the registry asks for
`own_registry`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from aiosmtpd.controller import Controller
from fastapi.testclient import TestClient

from city.database import forget_engines
from city.outside import app_io, mail
from city.registry import view
from city.reports import photos, trained
from city.settings import PROJECT, settings
from commands import migrating
from commands.cluster import Cluster
from commands.seeding.demo import load_demo
from commands.seeding.learning import ensure_classifier
from commands.seeding.registry import load_registry
from commands.serving import HOST
from tests.listening import served_live
from tests.trials import PASSWORD, Postbox, Staffer, any_port, eventually, visiting

SHARED_DATA = PROJECT.parent / "shared" / "data"
REPORT_TABLES = (
    "question, feedback, dialogue_terms,"
    " notice_report, notice_telling, notice,"
    " tiding, report_told, subscription_cell, subscription, subscriber,"
    " field_operation, crew_spell, photo_upload, contact_look,"
    " job, client_request, training_pair, paused_address, delivery, photo, timeline_entry, reporter, report,"
    " tile_cell, tile_delta,"
    " tile_fold, stream_ticket, access_token, second_factor, password_reset, pace, hotspot, hotspot_run,"
    " report_schedule, watcher, mention, saved_filter, stack_run,"
    " search_due, report_text, search_word, search_gram,"
    " citizen_code, citizen_session, citizen, staff_channel"
)
OUTSIDE_TABLES = (
    "handover, outside_body, sign_in_ticket, pending_sign_in, person_identity, provider_post, identity_provider"
    ", hook_replay, hook_delivery, webhook"
)

EMPTYING = ";".join(
    (
        "BEGIN",
        "UPDATE municipality SET has_subscribers = false, heard = '{}' WHERE has_subscribers OR heard <> '{}'",
        "SET session_replication_role = replica",
        *(f"COMMIT; BEGIN; DELETE FROM {table}" for table in f"{OUTSIDE_TABLES}, {REPORT_TABLES}".split(", ")),
        "COMMIT",
    )
)
"""All in one message: of many small tables, most of them empty, the way to and fro takes longer than the work.

Each table in a transaction of its own: whoever holds rows of two of them gets in the way of a worker that does, too.
"""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data that is not part of the project; tests of it skip loudly where it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data set is not here: {SHARED_DATA.name} beside the project")
    return SHARED_DATA


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster of this test run, shared by its processes; fast and forgetful."""
    folder = PROJECT / "var" / "test" / "postgres"
    folder.parent.mkdir(parents=True, exist_ok=True)
    kept = Cluster(folder, durable=False)
    with kept.serving():
        yield kept


@pytest.fixture(scope="session")
def seat(worker_id: str) -> str:
    """The name of this test process; `LAMPIONE_TEST_SEAT` keeps two runs in one checkout apart."""
    return os.environ.get("LAMPIONE_TEST_SEAT", "") + worker_id


@pytest.fixture(scope="session")
def variable(seat: str) -> Path:
    """A folder for what this test process keeps."""
    folder = PROJECT / "var" / "test" / seat
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _environment(cluster: Cluster, name: str, variable: Path, **more: str) -> dict[str, str]:
    return {
        "LAMPIONE_DATABASE_URL": cluster.url("lampione_app", name),
        "LAMPIONE_READER_URL": cluster.url("lampione_reader", name),
        "LAMPIONE_OWNER_URL": cluster.url("lampione_owner", name),
        "LAMPIONE_SECRET": "0123456789abcdef0123456789abcdef",
        "LAMPIONE_VAR": str(variable),
        "LAMPIONE_PUBLIC_URL": "http://lampione.test",
        "LAMPIONE_BOUNCE_ADDRESS": "bounces@lampione.test",
        "LAMPIONE_BOUNCES": f"maildir://{variable}/bounces",
        **more,
    }


def _forget() -> None:
    forget_engines()
    settings.cache_clear()
    view.forget()
    trained.forget()
    mail.mailer.cache_clear()
    app_io.app_io.cache_clear()
    photos.store.cache_clear()


@contextlib.contextmanager
def pointed_at(environment: dict[str, str]) -> Iterator[None]:
    """This process works with those settings."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    _forget()
    try:
        yield
    finally:
        _forget()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _forget()


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """A database with the demo's registry and no reports; made once a version of seed and migrations."""
    name = f"template_{_fingerprint()}"
    folder = PROJECT / "var" / "test"
    with (folder / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pointed_at(_environment(cluster, name, folder)):
            ensure_classifier(lambda _key, _share: None)
            if not cluster.database_exists(name):
                draft = f"draft_{os.getpid()}"
                migrating.make_roles(cluster.url(database="postgres"))
                cluster.create_database(draft, owner="lampione_owner")
                migrating.prepare_roles(cluster.url(database=draft))
                migrating.migrate(cluster.url("lampione_owner", draft))
                with pointed_at(_environment(cluster, draft, folder)):
                    load_registry(PASSWORD)
                with psycopg.connect(cluster.url(database="postgres"), autocommit=True) as admin:
                    admin.execute(f"ALTER DATABASE {draft} RENAME TO {name}")
    return name


def _fingerprint() -> str:
    digest = hashlib.sha256(PASSWORD.encode())
    sources = [*sorted((PROJECT / "commands" / "migrations").rglob("*.py")), *sorted((PROJECT / "seed").glob("*.toml"))]
    sources += sorted((PROJECT / "seed").rglob("*.geojson"))
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


@pytest.fixture(scope="session")
def _post() -> Iterator[tuple[Postbox, str]]:
    box = Postbox()
    server = Controller(box, hostname=HOST, port=any_port())
    server.start()
    yield box, f"smtp://{HOST}:{server.port}"
    server.stop()


@pytest.fixture
def postbox(_post: tuple[Postbox, str], variable: Path) -> Iterator[Postbox]:
    """What the SMTP server has taken during this test."""
    box = _post[0]
    box.maildir = variable / "bounces"
    shutil.rmtree(box.maildir, ignore_errors=True)
    box.messages.clear()
    box.refusing.clear()
    box.silent.clear()
    box.bouncing.clear()
    yield box
    box.refusing.clear()
    box.silent.clear()
    box.bouncing.clear()


@pytest.fixture(scope="session")
def _database(cluster: Cluster, template: str, variable: Path, seat: str, _post: tuple[Postbox, str]) -> Iterator[str]:
    name = f"test_{seat}"
    if cluster.database_exists(name):
        cluster.drop_database(name)
    cluster.create_database(name, template=template, owner="lampione_owner")
    _lend_classifier(variable)
    with pointed_at(_environment(cluster, name, variable, LAMPIONE_MAIL_URL=_post[1])):
        yield cluster.url(database=name)


def _lend_classifier(variable: Path) -> None:
    for path in (PROJECT / "var" / "test").glob("classifier.*"):
        lent = variable / path.name
        if not lent.exists():
            lent.symlink_to(path)


@pytest.fixture
def database(_database: str) -> Iterator[str]:
    """The superuser's URL of a database with the demo's registry and no reports."""
    yield _database
    with psycopg.connect(_database, autocommit=True) as admin:
        admin.execute(EMPTYING)


@pytest.fixture
def own_registry(
    cluster: Cluster, template: str, variable: Path, seat: str, _post: tuple[Postbox, str]
) -> Iterator[str]:
    """A database of this test's own, whose registry it may change; no worker serves it."""
    name = f"own_{seat}"
    if cluster.database_exists(name):
        cluster.drop_database(name)
    cluster.create_database(name, template=template, owner="lampione_owner")
    _lend_classifier(variable)
    with pointed_at(_environment(cluster, name, variable, LAMPIONE_MAIL_URL=_post[1])):
        yield cluster.url(database=name)
    cluster.drop_database(name)


@pytest.fixture
def client(database: str) -> Iterator[TestClient]:
    """A visitor without any session, English-speaking so that sentences are easy to compare."""
    with visiting() as visitor:
        yield visitor


@pytest.fixture(scope="module")
def worker_program() -> str:
    """The module that a worker process runs: it puts down no job by itself, so that tests may count them."""
    return "tests.worker_without_mailbox"


@pytest.fixture(scope="module")
def _worker(_database: str, variable: Path, worker_program: str) -> Iterator[subprocess.Popen[bytes]]:
    with (variable / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", sys.executable, "-P", "-m", worker_program], stderr=log, cwd=PROJECT
        )
        yield process
        process.kill()  # an orderly end takes two seconds; tests/workers looks at those
        process.wait()


@pytest.fixture
def worker(_worker: subprocess.Popen[bytes], database: str) -> subprocess.Popen[bytes]:
    """A real worker process on the test's database."""
    assert _worker.poll() is None, "the worker has died"
    return _worker


@pytest.fixture(scope="session")
def _live(_database: str, variable: Path) -> Iterator[str]:
    with served_live(variable / "live.log") as (address, _):
        yield address


@pytest.fixture
def live(_live: str, database: str) -> str:
    """The address of a real server on the test's database, beside the `client` that works in this process."""
    assert database
    return _live


@pytest.fixture
def signed_in(client: TestClient) -> Callable[[str], Staffer]:
    """Sign one of the demo's people in by e-mail."""

    def sign_in(address: str) -> Staffer:
        answer = client.post("/api/v1/session", json={"email": address, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return Staffer(client, {"Authorization": f"Bearer {answer.json()['token']}"})

    return sign_in


@pytest.fixture(scope="session")
def served(cluster: Cluster, template: str, variable: Path, seat: str) -> Iterator[str]:
    """The address of a real server with the whole demo, reports included, for browsers and fuzzers."""
    name = f"served_{seat}"
    folder = variable / "served"
    folder.mkdir(exist_ok=True)
    if cluster.database_exists(name):
        cluster.drop_database(name)
    cluster.create_database(name, template=template, owner="lampione_owner")
    _lend_classifier(folder)
    port = any_port()
    environment = _environment(cluster, name, folder, LAMPIONE_PUBLIC_URL=f"http://localhost:{port}")
    with pointed_at(environment):
        load_demo(lambda _key, _share: None, password=PASSWORD)
    command = [sys.executable, "-P", "-m", "uvicorn", "--factory", "api.app:create_app", "--port", str(port)]
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command, "--log-level", "warning"],
            stderr=log,
            cwd=PROJECT,
            env=os.environ | environment,
        )

        def answers() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"http://localhost:{port}/health/ready").status_code == 200
            return False

        try:
            eventually(answers, 60)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait(30)
