"""The private PostgreSQL cluster that Lampione keeps for itself where no other server is named.

It lives in one directory (`var/postgres`), is reached by a Unix socket that only its owner can open, and runs while
somebody uses it: every user holds a shared lock on a file, and a keeper process (`cluster_keeper`) ends the server when
the last lock is gone, be it by a normal end, an error or `kill -9`. So several commands at once share one server, and
none leaves an orphan.

PostgreSQL refuses to be root. Started by root, the server runs as the owner of its directory, or as Debian's user
`postgres` for a new one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from city.errors import Conflict, SettingsError, Unavailable

ADMIN: Final = "lampione_admin"
"""The superuser of the private cluster: makes roles and databases, and serves nobody else."""

OLDEST_VERSION: Final = 15
NEEDED_MEGABYTES: Final = 300
LONGEST_STOP_SECONDS: Final = 90
LONGEST_LOG_BYTES: Final = 10_000_000
POLL_SECONDS: Final = 0.02
PORT: Final = 5432
"""Names the socket file only: nothing listens on the network."""

DEBIAN_ROOT: Final = Path("/usr/lib/postgresql")
KEEPER: Final = Path(__file__).with_name("cluster_keeper.py")
ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "TZ": "UTC"}
"""All that the server sees of our environment: a PGPORT or PGDATA of the operator's is meant for another server."""

SETTINGS: Final = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "max_wal_size": "512MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
FLEETING: Final = dict.fromkeys(DURABLE, "off")

INCLUDES: Final = """
# Lampione's own choices, written anew at each start; after them yours, in own.conf beside this file.
include_if_exists = 'lampione.conf'
include_if_exists = 'own.conf'
"""
OWN: Final = "# Your own settings for PostgreSQL; they win over Lampione's. Example: shared_buffers = '512MB'\n"
ACCESS: Final = "# The socket lies in a directory that only its owner can enter.\nlocal all all trust\n"


@dataclass(frozen=True)
class Account:
    """The Unix user the server runs as, and the words before a command that make it run as that user."""

    uid: int
    gid: int
    name: str
    prefix: tuple[str, ...]

    def can_enter(self, directory: Path) -> bool:
        """Whether a process of this account reaches what lies in `directory`."""
        # Not `test -x`: the kernel answers it without regard to capabilities.
        reach = [*self.prefix, "stat", "--format=", f"{directory}/."]
        return subprocess.run(reach, check=False, capture_output=True).returncode == 0


class Cluster:
    """A private cluster in `directory`; `durable=False` trades safety against power cuts for speed (tests)."""

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory.resolve()
        self.durable = durable
        self.log = self._beside("log")
        self._use: int | None = None
        self._keeper: int | None = None

    # --- using it ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def serving(self) -> Iterator[Cluster]:
        """A running server for the length of the block: the one that runs already, or one started now."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Begin to use the server: make the cluster where there is none, start the server where none runs.

        Waits where another command is starting or stopping it. Raises SettingsError or Unavailable with the remedy.
        """
        if self._use is not None:
            return
        with self._said_plainly():
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self._check_owner()
            self._use = _open_lock(self._beside("lock"), fcntl.LOCK_SH)
            try:
                with _exclusively(self._beside("starting")):
                    self._ensure_server()
            except BaseException:
                self._let_go()
                raise

    def hand_on(self) -> None:
        """Let the use go on when this process becomes another program, which is to happen at once.

        Not before: whatever is started meanwhile would use the server too.
        """
        if self._use is not None:
            os.set_inheritable(self._use, True)

    def stop(self) -> None:
        """End the use of the server; if nobody else uses it, return when it has stopped.

        Raises Unavailable if it does not stop.
        """
        if self._use is None:
            return
        self._let_go()
        deadline = time.monotonic() + LONGEST_STOP_SECONDS
        while self._server_pid() is not None:
            if self._others_use_it():
                return
            if time.monotonic() > deadline:
                raise Unavailable("machine.not_stopped", seconds=LONGEST_STOP_SECONDS, log=self.log)
            time.sleep(POLL_SECONDS)
        self._reap_keeper()

    def running(self) -> bool:
        """Whether the server runs and takes connections."""
        return self._server_pid() is not None and self._server_state() == "ready"

    def url(self, role: str = ADMIN, database: str = "lampione") -> str:
        """Where `role` finds `database`: understood by SQLAlchemy and by psycopg alike."""
        host = quote(str(self.socket_directory), safe="")
        return f"postgresql://{quote(role)}@/{quote(database)}?host={host}&port={PORT}"

    # --- databases -----------------------------------------------------------------------------------------------

    def database_exists(self, name: str) -> bool:
        """Whether the running server has a database `name`."""
        with self._as_admin() as connection:
            return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

    def create_database(self, name: str, *, template: str = "template1", owner: str = ADMIN) -> None:
        """Make the database `name` as a copy of `template`, to which nobody may be connected.

        Raises Conflict if there is one of that name, Unavailable if the disk is full.
        """
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        with self._as_admin() as connection:
            try:
                connection.execute(statement.format(*map(sql.Identifier, (name, template, owner))))
            except psycopg.errors.DuplicateDatabase as error:
                raise Conflict("machine.database_exists", name=name) from error
            except psycopg.errors.DiskFull as error:
                raise Unavailable("machine.disk_full", directory=self.directory) from error

    def drop_database(self, name: str) -> None:
        """Remove the database `name` if there is one, cutting off whoever is connected to it."""
        with self._as_admin() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextlib.contextmanager
    def _as_admin(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url(ADMIN, "postgres"), autocommit=True) as connection:
            yield connection

    # --- who runs it, and with what ------------------------------------------------------------------------------

    @cached_property
    def account(self) -> Account:
        """The Unix user of the server. Raises SettingsError where root has none to offer or it cannot get in."""
        if os.geteuid() != 0:
            user = pwd.getpwuid(os.geteuid())
            return Account(user.pw_uid, user.pw_gid, user.pw_name, ())
        user = self._server_user()
        change = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups")
        # Under a home that only root may enter the server needs the right to pass through; containers differ in which
        # of the two capabilities they leave to root.
        for capability in (None, "dac_read_search", "dac_override"):
            grant = (f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}") if capability else ()
            account = Account(user.pw_uid, user.pw_gid, user.pw_name, (*change, *grant))
            if account.can_enter(self.directory.parent):
                return account
        raise SettingsError("machine.unreachable", user=user.pw_name, directory=self.directory.parent)

    def _server_user(self) -> pwd.struct_passwd:
        with contextlib.suppress(FileNotFoundError, KeyError):
            owner = self.directory.stat().st_uid
            if owner != 0:
                return pwd.getpwuid(owner)
        try:
            return pwd.getpwnam("postgres")
        except KeyError:
            raise SettingsError("machine.no_server_user") from None

    def _check_owner(self) -> None:
        """A cluster that root made is not for the ordinary user who comes later."""
        with contextlib.suppress(FileNotFoundError):
            owner = self.directory.stat().st_uid
            if os.geteuid() not in (0, owner):
                user = pwd.getpwuid(os.geteuid()).pw_name
                raise SettingsError("machine.not_ours", directory=self.directory, owner=_user_name(owner), user=user)

    @cached_property
    def socket_directory(self) -> Path:
        """A short path (a socket's is limited to 107 bytes) of our own."""
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:12]
        return Path("/tmp") / f"lampione-{self.account.uid}-{digest}"  # noqa: S108 - owner and mode are checked

    def _binary(self, name: str) -> str:
        """The PostgreSQL program `name` of the version that made the cluster, or of the newest for a new one."""
        found = _installed_versions()
        if not found:
            raise Unavailable("machine.no_postgres")
        needed = self._made_by() or max(found)
        if needed not in found:
            raise Unavailable(
                "machine.wrong_version",
                directory=self.directory,
                needed=needed,
                found=", ".join(map(str, sorted(found))),
            )
        return str(found[needed] / name)

    def _made_by(self) -> int | None:
        with contextlib.suppress(FileNotFoundError):
            return int((self.directory / "PG_VERSION").read_text())
        return None

    # --- making and starting -------------------------------------------------------------------------------------

    def _ensure_server(self) -> None:
        self._wait_for_a_dying_server()
        if self._server_pid() is not None:
            return
        if self._made_by() is None:
            self._create()
        self._launch()

    def _wait_for_a_dying_server(self) -> None:
        """A server whose keeper was killed shuts down by itself; one that starts up will soon be ready."""
        deadline = time.monotonic() + LONGEST_STOP_SECONDS
        while (pid := self._server_pid()) is not None and not (self.running() and _is_kept(pid)):
            if time.monotonic() > deadline:
                raise Unavailable("machine.not_stopped", seconds=LONGEST_STOP_SECONDS, log=self.log)
            time.sleep(POLL_SECONDS)

    def _create(self) -> None:
        """Make the cluster under another name first, so that one half made is never taken for a whole one."""
        self._check_room()
        unfinished = self._beside("new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        os.chown(unfinished, self.account.uid, self.account.gid)
        options = ["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions"]
        options += [] if self.durable else ["--no-sync"]
        made = subprocess.run(
            [*self.account.prefix, self._binary("initdb"), "-D", unfinished, "-U", ADMIN, *options],
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise self._why(made.stderr, "machine.not_created")
        _write(unfinished / "postgresql.conf", (unfinished / "postgresql.conf").read_text() + INCLUDES)
        _write(unfinished / "pg_hba.conf", ACCESS)
        _write(unfinished / "own.conf", OWN)
        unfinished.rename(self.directory)

    def _check_room(self) -> None:
        free_megabytes = shutil.disk_usage(self.directory.parent).free // 1_000_000
        if free_megabytes < NEEDED_MEGABYTES:
            raise Unavailable(
                "machine.too_little_room",
                needed_megabytes=NEEDED_MEGABYTES,
                free_megabytes=free_megabytes,
                directory=self.directory.parent,
            )

    def _launch(self) -> None:
        server = self._binary("postgres")
        self._claim_socket_directory()
        self._forget_dead_server()
        self._write_settings()
        log = self._open_log()
        try:
            before = os.fstat(log).st_size
            self._keeper = self._spawn_keeper(server, log)
        finally:
            os.close(log)
        while not self.running():
            if self._keeper_ended():
                raise self._why(self._log_since(before), "machine.not_started")
            time.sleep(POLL_SECONDS)

    def _spawn_keeper(self, server: str, log: int) -> int:
        setpriv = [*(self.account.prefix or ("setpriv",)), "--pdeathsig=INT"]
        command = [*setpriv, server, "-D", str(self.directory)]
        kept = [str(self._beside("lock")), str(self.socket_directory), *command]
        # Not subprocess: when others still use the server, the keeper outlives this object without a warning.
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", str(KEEPER), *kept],
            ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
        )

    def _claim_socket_directory(self) -> None:
        """What lies under our name where everybody may write must be ours and closed to others."""
        directory = self.socket_directory
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            os.chown(directory, self.account.uid, self.account.gid)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.account.uid or found.st_mode & 0o077:
            raise Unavailable("machine.socket_taken", directory=directory)

    def _forget_dead_server(self) -> None:
        """Make PostgreSQL see that the server of an old postmaster.pid is dead, also where its number lives again.

        After a restart of the machine or container another process may bear the number. Only the number is changed:
        by the rest of the file PostgreSQL finds out whether processes of the old server still hold its memory.
        """
        for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (self.socket_directory / name).unlink(missing_ok=True)
        file = self.directory / "postmaster.pid"
        if file.exists():
            _, _, rest = file.read_text().partition("\n")
            _write(file, f"{_unused_pid()}\n{rest}")

    def _write_settings(self) -> None:
        chosen = SETTINGS | (DURABLE if self.durable else FLEETING)
        chosen |= {"unix_socket_directories": str(self.socket_directory)}
        lines = (f"{name} = '{value}'\n" for name, value in chosen.items())
        _write(self.directory / "lampione.conf", "".join(lines))

    def _open_log(self) -> int:
        if self.log.exists() and self.log.stat().st_size > LONGEST_LOG_BYTES:
            self.log.rename(self._beside("log.old"))
        return os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    # --- what is going on ----------------------------------------------------------------------------------------

    def _pid_file_lines(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            return (self.directory / "postmaster.pid").read_text().splitlines()
        return []

    def _server_pid(self) -> int | None:
        """The process id of this cluster's living server, or None."""
        lines = self._pid_file_lines()
        if not lines or not lines[0].strip().isdigit():
            return None
        pid = int(lines[0])
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return None
        return pid if os.fsencode(self.directory) in words else None

    def _server_state(self) -> str:
        lines = self._pid_file_lines()
        return lines[7].strip() if len(lines) > 7 else ""  # noqa: PLR2004 - the eighth line, by PostgreSQL's format

    def _others_use_it(self) -> bool:
        """Whether anybody but us holds a lock as a user: a shared lock still fits, an exclusive one does not."""
        lock = os.open(self._beside("lock"), os.O_RDWR)
        try:
            return not _flock_at_once(lock, fcntl.LOCK_EX) and _flock_at_once(lock, fcntl.LOCK_SH)
        finally:
            os.close(lock)

    def _keeper_ended(self) -> bool:
        if self._keeper is None:
            return True
        ended, _ = os.waitpid(self._keeper, os.WNOHANG)
        if ended:
            self._keeper = None
        return bool(ended)

    def _reap_keeper(self) -> None:
        if self._keeper is not None:
            os.waitpid(self._keeper, 0)
            self._keeper = None

    def _let_go(self) -> None:
        if self._use is not None:
            os.close(self._use)
            self._use = None

    def _beside(self, ending: str) -> Path:
        return self.directory.parent / f"{self.directory.name}.{ending}"

    def _log_since(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def _why(self, output: str, key: str) -> Unavailable:
        """The error that PostgreSQL's `output` amounts to: the sentence `key`, or that the disk is full."""
        if os.strerror(errno.ENOSPC) in output:
            return Unavailable("machine.disk_full", directory=self.directory)
        reason = "\n".join(output.splitlines()[-5:])
        return Unavailable(key, reason=reason, directory=self.directory, log=self.log)

    @contextlib.contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise SettingsError("machine.not_writable", directory=self.directory.parent) from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Unavailable("machine.disk_full", directory=self.directory) from error


def _installed_versions() -> dict[int, Path]:
    """PostgreSQL's programs by major version, 15 and later: Debian's, which live side by side, and the one on PATH."""
    versions = {}
    if on_path := shutil.which("postgres"):
        answer = subprocess.run([on_path, "--version"], capture_output=True, text=True, check=True).stdout
        versions[int(answer.split()[2].partition(".")[0])] = Path(on_path).resolve().parent
    for program in DEBIAN_ROOT.glob("*/bin/postgres"):
        versions[int(program.parent.parent.name)] = program.parent
    return {version: programs for version, programs in versions.items() if version >= OLDEST_VERSION}


def _is_kept(pid: int) -> bool:
    """Whether a server's keeper is alive. One that has lost its keeper has been told to shut down, and will."""
    try:
        parent = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()[1]
        return os.fsencode(KEEPER) in Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _open_lock(path: Path, kind: int) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, kind)
    except BaseException:
        os.close(lock)
        raise
    return lock


@contextlib.contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    lock = _open_lock(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(lock)


def _flock_at_once(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, content: str) -> None:
    """Write a file that the server reads; root does not follow a link which the server's user might have laid."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(content)
        os.fchmod(file, 0o644)


def _unused_pid() -> int:
    highest = int(Path("/proc/sys/kernel/pid_max").read_text())
    return next(pid for pid in range(highest - 1, 1, -1) if not Path(f"/proc/{pid}").exists())


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
