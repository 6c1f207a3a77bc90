"""The database: one transaction per request or job, opened and closed at the edge.

Four doors, by need:

- `writing(municipality_id)`  as lampione_app, changes one municipality's rows
                              (`writing_directly`: the same for the busiest path, without the ORM)
- `reading(municipality_id)`  as lampione_app, read only, sees one municipality's rows
- `provincial()`              as lampione_province: every municipality; for the registry, sign-in, sweeps and folding
- `public()`                  as lampione_reader: what anyone may see; it has no right to reporters at all

Row-level security decides what a door shows: a forgotten WHERE leaks nothing. This file holds the only commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import psycopg
from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Session

from city.errors import SettingsError
from city.settings import Settings, settings

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

PROVINCE: Final = 0
"""The tenant whose categories, layers and rules every municipality inherits."""

NAMING: Final = {
    "ix": "%(table_name)s_%(column_0_N_name)s_index",
    "uq": "%(table_name)s_%(column_0_N_name)s_unique",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_reference",
    "pk": "%(table_name)s_key",
}


class Base(DeclarativeBase):
    """The mother of every row of the city."""

    metadata = MetaData(naming_convention=NAMING)


class Writing(Protocol):
    """A transaction that can be written to, be it of the ORM or direct."""

    @property
    def raw(self) -> psycopg.Connection[Any]:
        """The psycopg connection of this transaction, for the hot paths."""

    def enter(self, municipality_id: int) -> None:
        """From here to the end of the transaction, see and change this municipality's rows."""

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once what was done here is kept; never when it is undone."""


class ReadSession(Session):
    """A look at the rows; nothing done through it is kept."""

    @property
    def raw(self) -> psycopg.Connection[Any]:
        """The psycopg connection of this transaction, for the hot paths."""
        return cast("psycopg.Connection[Any]", self.connection().connection.driver_connection)

    def enter(self, municipality_id: int) -> None:
        """From here to the end of the transaction, see and change this municipality's rows."""
        self.raw.execute(f"SET LOCAL lampione.municipality = '{int(municipality_id)}'")


class WriteSession(ReadSession):
    """A transaction that keeps what is done in it, or none of it."""

    happened_at: datetime | None = None
    """When what is written here happened, if that was long ago: history keeps its dates, and nobody is told of it."""

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once what was done here is kept; never when it is undone."""
        self.info.setdefault("after_commit", {})[call] = None

    def keep(self) -> None:
        """The only commit."""
        self.commit()
        for call in self.info.pop("after_commit", {}):
            call()


class DirectTransaction:
    """A transaction on the bare connection: a third of the work of a session, for statements written by hand."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw
        self._calls: dict[Callable[[], None], None] = {}

    def enter(self, municipality_id: int) -> None:
        """From here to the end of the transaction, see and change this municipality's rows."""
        self.raw.execute(f"SET LOCAL lampione.municipality = '{int(municipality_id)}'")

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once what was done here is kept; never when it is undone."""
        self._calls[call] = None

    def begin(self, municipality_id: int) -> None:
        """Begin, on one municipality's rows, in one round trip. Plans are made once a connection, not once a call."""
        self.raw.autocommit = True  # else psycopg sends a BEGIN of its own
        self.raw.execute(
            f"BEGIN; SET LOCAL lampione.municipality = '{int(municipality_id)}';"
            " SET LOCAL plan_cache_mode = force_generic_plan"
        )

    def keep(self) -> None:
        """The only commit."""
        self.raw.execute("COMMIT")
        self.raw.autocommit = False
        for call in self._calls:
            call()

    def undo(self) -> None:
        """Leave nothing of it."""
        self.raw.execute("ROLLBACK")
        self.raw.autocommit = False


def _engine(url: str, chosen: Settings, options: str) -> Engine:
    engine = create_engine(
        url.replace("postgres://", "postgresql://", 1),
        pool_size=chosen.threads,
        max_overflow=0,
        pool_timeout=chosen.slow_outside_seconds,
        pool_pre_ping=False,
        connect_args={
            "options": options,
            "connect_timeout": int(chosen.slow_outside_seconds),
            "application_name": "lampione",
            "keepalives_idle": 30,
        },
    )

    @event.listens_for(engine, "connect")
    def prepare_soon(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cast("psycopg.Connection[Any]", connection).prepare_threshold = 2

    return engine


@cache
def app_engine() -> Engine:
    """The pool of lampione_app."""
    return _engine(
        settings().database_url,
        settings(),
        "-c statement_timeout=30s -c idle_in_transaction_session_timeout=60s -c jit=off",
    )


@cache
def reader_engine() -> Engine:
    """The pool of lampione_reader."""
    return _engine(
        settings().reader_url,
        settings(),
        "-c default_transaction_read_only=on -c statement_timeout=10s -c jit=off",
    )


def forget_engines() -> None:
    """Close every pool: after a fork, or when the settings have changed."""
    for engine in (app_engine, reader_engine):
        if engine.cache_info().currsize:
            engine().dispose()
        engine.cache_clear()


@contextmanager
def writing(municipality_id: int) -> Iterator[WriteSession]:
    """One transaction on one municipality's rows: kept if the block ends well, undone if it raises."""
    with WriteSession(app_engine(), expire_on_commit=False) as session:
        session.enter(municipality_id)
        yield session
        session.keep()


@contextmanager
def writing_directly(municipality_id: int) -> Iterator[DirectTransaction]:
    """As `writing`, without the ORM: on the bare connection, from the same pool."""
    borrowed = app_engine().raw_connection()
    try:
        transaction = DirectTransaction(cast("psycopg.Connection[Any]", borrowed.driver_connection))
        try:
            transaction.begin(municipality_id)
            yield transaction
            transaction.keep()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            borrowed.invalidate()
            raise
        except BaseException:
            transaction.undo()
            raise
    finally:
        borrowed.close()


@contextmanager
def reading(municipality_id: int) -> Iterator[ReadSession]:
    """A read-only look at one municipality's rows."""
    with ReadSession(app_engine()) as session:
        session.raw.execute("SET TRANSACTION READ ONLY")
        session.enter(municipality_id)
        yield session


@contextmanager
def provincial() -> Iterator[WriteSession]:
    """One transaction over every municipality, for the few who must: registry, sign-in, sweeps, folding."""
    with WriteSession(app_engine(), expire_on_commit=False) as session:
        session.raw.execute("SET LOCAL ROLE lampione_province")
        yield session
        session.keep()


@contextmanager
def public() -> Iterator[ReadSession]:
    """A read-only look at what anyone may see."""
    with ReadSession(reader_engine()) as session:
        yield session


def check_roles() -> None:
    """Refuse to work as a role that could look past row-level security.

    Raises SettingsError naming the setting.
    """
    for name, engine in (("LAMPIONE_DATABASE_URL", app_engine()), ("LAMPIONE_READER_URL", reader_engine())):
        try:
            with engine.connect() as connection:
                role, strong = connection.exec_driver_sql(
                    "SELECT current_user, rolsuper OR rolbypassrls OR EXISTS ("
                    " SELECT FROM pg_class WHERE relowner = pg_roles.oid AND relname = 'report')"
                    " FROM pg_roles WHERE rolname = current_user"
                ).one()
        except Exception as error:
            raise SettingsError("settings.unreachable", name=name, problem=str(error).strip().split("\n")[0]) from error
        if strong:
            raise SettingsError("settings.app_too_strong", name=name, role=role)
