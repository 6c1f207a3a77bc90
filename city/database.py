"""The database: one transaction per request or job, opened and closed at the edge.

Four doors, by need:

- `writing(municipality_id)`  as lampione_app, changes one municipality's rows
                              (`writing_directly`: the same for the busiest path, without the ORM)
- `reading(municipality_id)`  as lampione_app, read only, sees one municipality's rows
- `provincial()`              as lampione_province: every municipality; for the registry, sign-in, sweeps and folding
- `public()`                  as lampione_reader: what anyone may see; it has no right to reporters at all
                              (`public_directly`: the same for the map; `watching`: for looks that wait for no thread,
                              and `overseeing` the same for staff's live changes, as lampione_province)

Row-level security decides what a door shows: a forgotten WHERE leaks nothing. This file holds the only commit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, Final, Protocol, cast

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.orm import DeclarativeBase, Session

from city.errors import SettingsError
from city.settings import Settings, settings

PROVINCE: Final = 0
"""The tenant whose categories, layers and rules every municipality inherits."""

SPARE_CONNECTIONS: Final = 2
"""Beyond one for each thread: to read the registry anew while all are in transactions, and for the bell."""

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
        self.raw.execute(_entering(municipality_id))

    @contextmanager
    def trial(self, *, kept: bool = True) -> Iterator[None]:
        """A part of this transaction: undone, with its rows, locks and settings, where the block raises or it is not to
        be `kept`. The transaction goes on; trials may nest.

        It goes past psycopg, which would take the undoing for the whole transaction's and forget its plans.
        """
        self.flush()
        self._say("SAVEPOINT trial")
        try:
            yield
            self.flush()
        except BaseException:
            if self.is_active:  # a flush that failed has ended the whole transaction
                self._undo()
            raise
        if kept:
            self._say("RELEASE SAVEPOINT trial")
        else:
            self._undo()

    def _undo(self) -> None:
        self.expunge_all()
        self._say("ROLLBACK TO SAVEPOINT trial; RELEASE SAVEPOINT trial")

    def _say(self, command: str) -> None:
        _checked(self.raw.pgconn.exec_(command.encode()))

    def leave(self) -> None:
        """End a look. Nothing can have been written; after a rollback the connection would forget its plans."""
        self.commit()


class WriteSession(ReadSession):
    """A transaction that keeps what is done in it, or none of it."""

    happened_at: datetime | None = None
    """When what is written here happened, if that was long ago: history keeps its dates, and nobody is told of it."""

    @property
    def promised(self) -> list[tuple[str, dict[str, Any]]]:
        """The jobs promised here so far: actors and their arguments."""
        promised: list[tuple[str, dict[str, Any]]] = self.info.setdefault("promised", [])
        return promised

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once what was done here is kept; never when it is undone."""
        self.info.setdefault("after_commit", {})[call] = None

    def keep(self) -> None:
        """The only commit."""
        self.commit()
        for call in self.info.pop("after_commit", {}):
            call()


class Remembering(psycopg.Connection[Any]):
    """A connection that knows which of our statements it has prepared."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.prepared: set[bytes] = set()

    def rollback(self) -> None:
        """Roll back; psycopg then forgets what it has prepared, and so do we."""
        if self.pgconn.transaction_status == TransactionStatus.IDLE:
            return  # the pool asks at every return
        super().rollback()
        if self.prepared:
            self.pgconn.exec_(b"DEALLOCATE ALL")
            self.prepared.clear()


class Prepared:
    """A statement that each connection plans once; values go in and come out as text.

    For the busiest statements only, which have no time for a cursor: to adapt forty values, and to wait for each answer
    in Python, costs more than all else that a request does. `%(name)s` marks a value.
    """

    def __init__(self, name: str, sql: str) -> None:
        self._name = name.encode()
        self._values = tuple(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
        for position, value in enumerate(self._values, start=1):
            sql = sql.replace(f"%({value})s", f"${position}")
        self._sql = sql.encode()

    def first(self, connection: psycopg.Connection[Any], values: Mapping[str, Any]) -> list[bytes | None]:
        """The columns of the first row, as the server writes them. Raises psycopg.Error."""
        assert isinstance(connection, Remembering)
        if self._name not in connection.prepared:
            _checked(connection.pgconn.prepare(self._name, self._sql))
            connection.prepared.add(self._name)
        given = [_as_text(values[name]) for name in self._values]
        result = _checked(connection.pgconn.exec_prepared(self._name, given))  # type: ignore[arg-type]  # None is NULL
        return [result.get_value(0, column) for column in range(result.nfields)]


def _as_text(value: Any) -> bytes | None:
    """As PostgreSQL reads it: text, numbers, booleans, moments, UUIDs, bytes, and lists of whole numbers."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return b"\\x" + value.hex().encode()
    if isinstance(value, list):
        return f"{{{','.join(map(str, value))}}}".encode()
    return str(value).encode()


def _checked(result: PGresult) -> PGresult:
    if result.status not in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
        raise psycopg.errors.error_from_result(result)
    return result


class DirectTransaction:
    """A transaction on the bare connection: a third of the work of a session, for statements written by hand."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw
        self._calls: dict[Callable[[], None], None] = {}

    def begin(self, municipality_id: int) -> None:
        """Begin, on one municipality's rows, in one round trip. Plans are made once a connection, not once a call."""
        self._say(f"BEGIN; {_entering(municipality_id)}; SET LOCAL plan_cache_mode = force_generic_plan")

    def enter(self, municipality_id: int) -> None:
        """From here to the end of the transaction, see and change this municipality's rows."""
        self._say(_entering(municipality_id))

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once what was done here is kept; never when it is undone."""
        self._calls[call] = None

    def keep(self) -> None:
        """The only commit."""
        self._say("COMMIT")
        for call in self._calls:
            call()

    def undo(self) -> None:
        """Leave nothing of it."""
        self._say("ROLLBACK")

    def _say(self, command: str) -> None:
        _checked(self.raw.pgconn.exec_(command.encode()))


def _entering(municipality_id: int) -> str:
    return f"SET LOCAL lampione.municipality = '{int(municipality_id)}'"


def _engine(url: str, chosen: Settings, options: str) -> Engine:
    def connect() -> Remembering:
        connection = Remembering.connect(
            url,
            options=options,
            connect_timeout=int(chosen.slow_outside_seconds),
            application_name="lampione",
            keepalives_idle=30,
        )
        connection.prepare_threshold = 2
        return connection

    return create_engine(
        url.replace("postgres://", "postgresql://", 1),
        creator=connect,
        pool_size=chosen.threads,
        max_overflow=SPARE_CONNECTIONS,
        pool_timeout=chosen.slow_outside_seconds,
        pool_pre_ping=False,
    )


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
def trying(municipality_id: int) -> Iterator[WriteSession]:
    """As `writing`, but always undone: to see what would come of something."""
    with WriteSession(app_engine(), expire_on_commit=False) as session:
        session.enter(municipality_id)
        yield session
        session.rollback()


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
    with ReadSession(app_engine(), expire_on_commit=False) as session:
        session.raw.execute("SET TRANSACTION READ ONLY")
        session.enter(municipality_id)
        yield session
        session.leave()


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
    with ReadSession(reader_engine(), expire_on_commit=False) as session:
        yield session
        session.leave()


@contextmanager
def public_directly() -> Iterator[psycopg.Connection[Any]]:
    """As `public`, for the map: on the bare connection from the same pool; statements are planned once a connection."""
    borrowed = reader_engine().raw_connection()
    raw = cast("psycopg.Connection[Any]", borrowed.driver_connection)
    try:
        _checked(raw.pgconn.exec_(b"BEGIN; SET LOCAL plan_cache_mode = force_generic_plan"))
        yield raw
        _checked(raw.pgconn.exec_(b"COMMIT"))  # after a rollback the connection would forget its plans
    except (psycopg.OperationalError, psycopg.InterfaceError):
        borrowed.invalidate()
        raise
    except BaseException:
        raw.rollback()
        raise
    finally:
        borrowed.close()


async def watching() -> psycopg.AsyncConnection[Any]:
    """A connection of its own as the public reader, for looks that must not wait for a thread. Raises psycopg.Error."""
    return await _looking_out(settings().reader_url, "lampione tiles")


async def overseeing() -> psycopg.AsyncConnection[Any]:
    """The same as lampione_province, read only: it sees every municipality's rows. Raises psycopg.Error."""
    options = "-c role=lampione_province -c plan_cache_mode=force_custom_plan"
    return await _looking_out(settings().database_url, "lampione stream", options)


async def _looking_out(url: str, name: str, options: str = "") -> psycopg.AsyncConnection[Any]:
    connection = await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        options=f"-c default_transaction_read_only=on -c statement_timeout=10s -c jit=off {options}",
        connect_timeout=int(settings().slow_outside_seconds),
        application_name=name,
        keepalives_idle=30,
    )
    connection.prepare_threshold = 0
    return connection


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
