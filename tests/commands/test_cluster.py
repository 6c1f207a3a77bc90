"""The private cluster: shared by several commands, gone with the last, and plain-spoken where it cannot serve."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from city.errors import Conflict, SettingsError, Unavailable
from commands import cluster as cluster_module
from commands.cluster import ADMIN, Cluster

ROOT = Path(__file__).parents[2]
ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it is about root and the server's own user")

SUPERVISOR = """
import sys, time
from pathlib import Path
from commands.cluster import Cluster
with Cluster(Path(sys.argv[1]), durable=False).serving() as cluster:
    print(cluster._server_pid(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster made once; it lies under directories that only their owner may enter, as in a private home."""
    directory = tmp_path_factory.mktemp("var") / "postgres"
    with Cluster(directory, durable=False).serving():
        pass
    return directory


@pytest.fixture
def cluster(made: Path) -> Iterator[Cluster]:
    ours = Cluster(made, durable=False)
    yield ours
    ours.stop()


def supervisor(directory: Path, script: str = SUPERVISOR) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def comes_true(question: Callable[[], bool], *, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def setting(cluster: Cluster, name: str) -> str:
    with psycopg.connect(cluster.url(ADMIN, "postgres")) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("", timeout=60)


# --- serving ---------------------------------------------------------------------------------------------------------


def test_serves_and_leaves_nothing_behind(cluster: Cluster) -> None:
    with cluster.serving():
        assert cluster.running()
        assert setting(cluster, "server_encoding") == "UTF8"
        assert setting(cluster, "data_checksums") == "on"
    assert not cluster.running()
    assert not cluster.socket_directory.exists()


def test_listens_on_no_network(cluster: Cluster) -> None:
    with cluster.serving():
        assert setting(cluster, "listen_addresses") == ""
        assert cluster.socket_directory.stat().st_mode & 0o777 == 0o700
        assert len(str(cluster.socket_directory / ".s.PGSQL.5432.lock")) < 100


@pytest.mark.parametrize(("durable", "expected"), [(True, "on"), (False, "off")])
def test_real_data_is_kept_safe_and_tests_are_fast(made: Path, durable: bool, expected: str) -> None:
    with Cluster(made, durable=durable).serving() as cluster:
        assert [setting(cluster, name) for name in ("fsync", "synchronous_commit", "full_page_writes")] == [
            expected
        ] * 3


def test_the_operators_own_settings_win(cluster: Cluster) -> None:
    own = cluster.directory / "own.conf"
    before = own.read_text()
    own.write_text("work_mem = '33MB'\n")
    with cluster.serving():
        assert setting(cluster, "work_mem") == "33MB"
    own.write_text(before)


def test_settings_of_the_operators_environment_are_meant_for_another_server(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1234")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with cluster.serving():
        assert setting(cluster, "port") == "5432"


def test_makes_and_drops_databases(cluster: Cluster) -> None:
    with cluster.serving():
        assert not cluster.database_exists("città")
        cluster.create_database("città")
        assert cluster.database_exists("città")
        with pytest.raises(Conflict, match="città"):
            cluster.create_database("città")
        cluster.create_database("copia", template="città")
        for name in ("città", "copia", "copia"):
            cluster.drop_database(name)
        assert not cluster.database_exists("copia")


# --- sharing, and ending with the last user --------------------------------------------------------------------------


def test_two_users_share_one_server_which_outlives_the_first(made: Path) -> None:
    first, second = Cluster(made, durable=False), Cluster(made, durable=False)
    with second.serving():
        pid = second._server_pid()
        with first.serving():
            assert first._server_pid() == pid
        assert second.running()
    assert not second.running()


def test_the_server_outlives_the_one_who_started_it(made: Path) -> None:
    starter = supervisor(made)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    with Cluster(made, durable=False).serving() as cluster:
        end(starter)
        assert cluster._server_pid() == pid
        assert cluster.running()
    assert not cluster.running()


def test_many_starts_at_once_make_one_cluster_and_one_server(tmp_path: Path) -> None:
    starters = [supervisor(tmp_path / "postgres") for _ in range(3)]
    pids = {int(starter.stdout.readline()) for starter in starters if starter.stdout}
    for starter in starters:
        end(starter)
    assert len(pids) == 1
    assert not Cluster(tmp_path / "postgres").running()


def test_a_killed_supervisor_leaves_no_orphan(cluster: Cluster) -> None:
    killed = supervisor(cluster.directory)
    assert killed.stdout is not None
    pid = int(killed.stdout.readline())
    with psycopg.connect(cluster.url(ADMIN, "postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS value")
        killed.kill()
        end(killed)
    assert comes_true(lambda: not Path(f"/proc/{pid}").exists())
    with cluster.serving(), psycopg.connect(cluster.url(ADMIN, "postgres")) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (42,)


def test_a_killed_keeper_takes_the_server_with_it_and_a_new_start_heals(made: Path, cluster: Cluster) -> None:
    cut_off = Cluster(made, durable=False)
    cut_off.start()
    assert cut_off._keeper is not None
    os.kill(cut_off._keeper, signal.SIGKILL)
    with cluster.serving():
        assert cluster.running()
        cut_off.stop()
        assert cluster.running()


def test_ctrl_c_is_for_the_supervisor_which_still_has_its_database(made: Path) -> None:
    # The interrupt may come as soon as the first line is out, so that line stands inside the try.
    script = SUPERVISOR.partition("    print(")[0] + (
        "    try: print(cluster._server_pid(), flush=True); time.sleep(60)\n"
        "    except KeyboardInterrupt: time.sleep(0.5); print(cluster.database_exists('postgres'), flush=True)\n"
    )
    interrupted = supervisor(made, script)
    assert interrupted.stdout is not None
    interrupted.stdout.readline()
    os.killpg(interrupted.pid, signal.SIGINT)
    assert interrupted.communicate(timeout=60)[0].strip() == "True"
    assert interrupted.returncode == 0


# --- healing ---------------------------------------------------------------------------------------------------------


def test_a_dead_servers_number_that_lives_again_does_not_stand_in_the_way(cluster: Cluster) -> None:
    with cluster.serving():
        file = cluster.directory / "postmaster.pid"
        left_behind = file.read_text().splitlines()
    # A living process of the server's own user, which PostgreSQL alone would take for another server.
    as_server = [*cluster.account.prefix, "sleep", "60"]
    bystander = subprocess.Popen(as_server)
    try:
        assert comes_true(lambda: b"sleep" in Path(f"/proc/{bystander.pid}/cmdline").read_bytes().split(b"\0")[:1])
        file.write_text("\n".join([str(bystander.pid), *left_behind[1:]]) + "\n")
        os.chown(file, cluster.account.uid, cluster.account.gid)
        assert not cluster.running()
        with cluster.serving():
            assert cluster.running()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_server_killed_outright_recovers(cluster: Cluster) -> None:
    with cluster.serving():
        pid = cluster._server_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert comes_true(lambda: not cluster.running())
    with cluster.serving():
        assert cluster.running()


def test_an_interrupted_creation_is_begun_again(tmp_path: Path) -> None:
    half_made = tmp_path / "postgres.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("15\n")
    with Cluster(tmp_path / "postgres", durable=False).serving() as cluster:
        assert cluster.running()
    assert not half_made.exists()


def test_a_path_with_spaces_and_accents(tmp_path: Path) -> None:
    with Cluster(tmp_path / "la mia città's" / "postgres", durable=False).serving() as cluster:
        assert cluster.database_exists("postgres")


# --- refusing plainly ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trap", ["open", "link"])
def test_a_socket_directory_that_is_not_ours_alone_is_refused(tmp_path: Path, made: Path, trap: str) -> None:
    cluster = Cluster(made, durable=False)
    cluster.socket_directory.mkdir(exist_ok=True)
    cluster.socket_directory.rmdir()
    if trap == "open":
        cluster.socket_directory.mkdir()
        cluster.socket_directory.chmod(0o777)
    else:
        cluster.socket_directory.symlink_to(tmp_path)
    try:
        with pytest.raises(Unavailable, match=str(cluster.socket_directory)):
            cluster.start()
    finally:
        cluster.socket_directory.unlink() if trap == "link" else cluster.socket_directory.rmdir()


@ONLY_ROOT
def test_a_socket_directory_of_another_user_is_refused(made: Path) -> None:
    cluster = Cluster(made, durable=False)
    cluster.socket_directory.mkdir(mode=0o700, exist_ok=True)
    os.chown(cluster.socket_directory, pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(Unavailable, match="another user"):
        cluster.start()
    cluster.socket_directory.rmdir()


def test_missing_programs_are_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "DEBIAN_ROOT", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable) as caught:
        Cluster(tmp_path / "postgres")._binary("postgres")
    assert "LAMPIONE_DATABASE_URL" in caught.value.sentence("it")


def test_a_cluster_of_a_version_that_is_gone_says_which(tmp_path: Path) -> None:
    directory = tmp_path / "postgres"
    directory.mkdir()
    (directory / "PG_VERSION").write_text("99\n")
    with pytest.raises(Unavailable, match="PostgreSQL 99"):
        Cluster(directory).start()


def test_a_server_that_cannot_start_shows_its_last_words(cluster: Cluster) -> None:
    own = cluster.directory / "own.conf"
    before = own.read_text()
    own.write_text("shared_buffers = 'many'\n")
    with pytest.raises(Unavailable, match="shared_buffers"):
        cluster.start()
    own.write_text(before)
    with cluster.serving():
        assert cluster.running()


@ONLY_ROOT
def test_a_full_disk_is_called_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", small], check=False).returncode != 0:
        pytest.skip("this machine lets us mount no small disk")
    try:
        with pytest.raises(Unavailable) as too_small:
            Cluster(small / "postgres").start()
        assert too_small.value.key == "machine.too_little_room"
        monkeypatch.setattr(cluster_module, "NEEDED_MEGABYTES", 1)
        with pytest.raises(Unavailable) as full:
            Cluster(small / "postgres").start()
        assert full.value.key == "machine.disk_full"
        assert not (small / "postgres").exists()
    finally:
        subprocess.run(["umount", small], check=True)


@ONLY_ROOT
def test_an_ordinary_user_is_told_that_the_cluster_is_roots(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
    with pytest.raises(SettingsError) as caught:
        Cluster(made).start()
    assert "LAMPIONE_VAR" in caught.value.sentence("en")
    assert "nobody" in caught.value.sentence("it")


@ONLY_ROOT
def test_where_the_servers_user_cannot_get_in_the_setting_is_named(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module.Account, "can_enter", lambda _account, _directory: False)
    with pytest.raises(SettingsError, match="LAMPIONE_VAR"):
        Cluster(made).start()


@ONLY_ROOT
def test_root_never_runs_the_server_as_root(cluster: Cluster) -> None:
    with cluster.serving():
        pid = cluster._server_pid()
        assert Path(f"/proc/{pid}").stat().st_uid == cluster.account.uid != 0
