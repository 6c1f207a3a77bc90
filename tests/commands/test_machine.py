"""What a machine is prepared with: pinned by hash, the same for running and developing, and naming no registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(file.name for file in ROOT.glob("requirements*.txt"))


def pinned(file: str) -> dict[str, str]:
    """Requirement with its marker → the rest of its entry, hashes included."""
    entries = re.split(r"\n(?=[a-z])", (ROOT / file).read_text().replace("\\\n", " "))
    return {entry.partition("--hash")[0].strip(): entry for entry in entries}


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_is_pinned_by_hash(file: str) -> None:
    assert pinned(file)
    for requirement, entry in pinned(file).items():
        assert "==" in requirement
        assert "--hash=sha256:" in entry


@pytest.mark.parametrize("file", [*FILES, "web/package-lock.json"])
def test_no_registry_is_named(file: str) -> None:
    written = ROOT / file
    if not written.exists():
        pytest.skip(f"{file} is not there yet")
    assert "://" not in re.sub(
        r'"url": "[^"]*"', "", written.read_text()
    )  # an author's page in npm's "funding" is no registry
    assert "index-url" not in written.read_text()


def test_developing_runs_on_what_serves() -> None:
    assert pinned("requirements.txt").keys() <= pinned("requirements-dev.txt").keys()


def test_the_script_is_plain_posix_shell() -> None:
    subprocess.run(["/bin/sh", "-n", ROOT / "lampione"], check=True)
    assert (ROOT / "lampione").stat().st_mode & 0o111
