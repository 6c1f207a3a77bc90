"""Where this command works: the server that the settings name, or the private cluster under `./var`.

Whatever is missing in the settings is filled in here, into the environment, so that API and workers started from here
work with the very same settings as ones started by systemd on another machine.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from city.database import app_engine, check_roles, forget_engines
from city.errors import SettingsError
from city.registry import view
from city.settings import settings
from commands import migrating
from commands.cluster import Cluster

DATABASE: Final = "lampione"
URLS: Final = ("LAMPIONE_DATABASE_URL", "LAMPIONE_READER_URL", "LAMPIONE_OWNER_URL")


@contextmanager
def ready(*, migrated: bool = True) -> Iterator[Cluster | None]:
    """A database of this version that answers, settings that hold together; the private cluster as long as needed,
    which is given, if it is that.

    Raises SettingsError with the setting's name and the remedy.
    """
    if os.environ.get("LAMPIONE_DATABASE_URL"):
        _refresh()
        settings().check()
        if migrated:
            _check_version()
        check_roles()
        yield None
        return
    for name in URLS[1:]:
        if os.environ.get(name):
            raise SettingsError("settings.without_database", name=name)
    with private_cluster() as cluster:
        yield cluster


@contextmanager
def private_cluster() -> Iterator[Cluster]:
    """Serve the private cluster, made and migrated where needed, and point the settings at it."""
    _refresh()
    folder = settings().var
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder / "postgres")
    with cluster.serving():
        _prepare(cluster)
        before = {name: os.environ.get(name) for name in (*URLS, "LAMPIONE_SECRET")}
        os.environ["LAMPIONE_DATABASE_URL"] = cluster.url("lampione_app", DATABASE)
        os.environ["LAMPIONE_READER_URL"] = cluster.url("lampione_reader", DATABASE)
        os.environ["LAMPIONE_OWNER_URL"] = cluster.url("lampione_owner", DATABASE)
        os.environ.setdefault("LAMPIONE_SECRET", own_secret(folder / "secret"))
        try:
            _refresh()
            settings().check()
            yield cluster
        finally:
            forget_engines()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            _refresh()


def own_secret(path: Path) -> str:
    """The secret kept in `path`, made at the first start; nobody but its owner may read it."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    return path.read_text("ascii").strip()


def _prepare(cluster: Cluster) -> None:
    if not cluster.database_exists(DATABASE):
        migrating.make_roles(cluster.url(database="postgres"))
        cluster.create_database(DATABASE, owner="lampione_owner")
    migrating.prepare_roles(cluster.url(database=DATABASE))
    migrating.migrate(cluster.url("lampione_owner", DATABASE))


def _refresh() -> None:
    forget_engines()
    settings.cache_clear()
    view.forget()


def _check_version() -> None:
    wanted = migrating.newest()
    try:
        with app_engine().connect() as connection:
            found = migrating.found(connection)
    except OperationalError as error:
        problem = str(error.orig).strip().split("\n")[0]
        raise SettingsError("settings.unreachable", name="LAMPIONE_DATABASE_URL", problem=problem) from error
    if found != wanted:
        raise SettingsError("settings.not_migrated", found=found, wanted=wanted)


def migrate_existing() -> tuple[str, str]:
    """Bring the named server's database to this version; the revisions before and after. Raises SettingsError."""
    url = settings().owner_url
    if not url:
        raise SettingsError("settings.owner_missing")
    try:
        create_engine(url).connect().close()
    except OperationalError as error:
        problem = str(error.orig).strip().split("\n")[0]
        raise SettingsError("settings.unreachable", name="LAMPIONE_OWNER_URL", problem=problem) from error
    return migrating.migrate(url)
