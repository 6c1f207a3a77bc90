"""The environment of the benchmarks' peers: kept while its stamp fits, made anew when not, and missed loudly."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import peers
from city.errors import Unavailable


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of the test's own, to be filled from a requirements file that cannot be had."""
    monkeypatch.setattr(peers, "FOLDER", tmp_path / "bench" / "peers")
    monkeypatch.setattr(peers, "REQUIREMENTS", tmp_path / "requirements-bench.txt")
    monkeypatch.setattr(peers, "UV", tmp_path / "no" / "uv")
    monkeypatch.setattr(peers, "_FAILED", set())
    peers.REQUIREMENTS.write_text("pyvips==3.2.0\n", "utf-8")  # without a hash: refused, and nothing is fetched
    return tmp_path


def test_peers_that_cannot_be_had_are_said_to_be_missing_with_the_log_and_tried_once(elsewhere: Path) -> None:
    with pytest.raises(Unavailable) as missing:
        peers.interpreter()
    assert "peers.log" in str(missing.value)
    log = elsewhere / "bench" / "peers.log"
    assert "hash" in log.read_text("utf-8")
    log.unlink()
    with pytest.raises(Unavailable):
        peers.interpreter()
    assert not log.exists()


def test_an_environment_whose_stamp_fits_is_taken_as_it_is() -> None:
    python = peers.FOLDER / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (peers.FOLDER / "stamp").write_text(peers._fingerprint(), "utf-8")
    assert peers.interpreter() == python


def test_other_requirements_make_another_environment() -> None:
    before = peers._fingerprint()
    peers.REQUIREMENTS.write_text("pyvips==3.1.0\n", "utf-8")
    assert peers._fingerprint() != before


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("postgresql://anna@/city?host=%2Ftmp%2Fs&port=5433", "postgresql://anna@%2Ftmp%2Fs:5433/city"),
        ("postgresql://anna:secret@db.example:5432/city", "postgresql://anna:secret@db.example:5432/city"),
    ],
)
def test_the_server_of_tiles_is_told_a_sockets_folder_as_its_host(ours: str, theirs: str) -> None:
    assert peers.tipg_url(ours) == theirs
