"""The peers that are no dependencies of ours: geopandas, pyvips and tipg, in an environment of their own.

`interpreter()` is a Python in `var/bench/peers` that has what `requirements-bench.txt` pins. Nothing of it is ever
imported here: a peer is a script that this interpreter runs, or a server that it starts.

tipg serves every table of `public` that has a geometry column, by asyncpg. It is started with

    DATABASE_URL=<tipg_url(…)>
    PYTHON -P -m uvicorn tipg.main:app --host 127.0.0.1 --port PORT --no-access-log --log-level warning

in a folder without a `.env` (it would read one), and is ready once `/healthz` answers 200. It reads the catalogue of
tables, with extents, when it starts: the table must be there first, and readable by the user of the URL. Its tiles are
at `/collections/public.TABLE/tiles/WebMercatorQuad/{z}/{x}/{y}`, its features at
`/collections/public.TABLE/items?f=geojson`. A tile is cut short after `TIPG_MAX_FEATURES_PER_TILE` features (10,000
unless set).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from city.errors import Unavailable
from city.settings import PROJECT
from city.texts import said

FOLDER: Final = PROJECT / "var" / "bench" / "peers"
REQUIREMENTS: Final = PROJECT / "requirements-bench.txt"
UV: Final = PROJECT / ".venv" / "bin" / "uv"
_FAILED: set[str] = set()
"""What could not be had in this process: one try is enough."""


def interpreter() -> Path:
    """The Python interpreter that has the peers; made, or made anew, where its stamp does not fit.

    Raises Unavailable where they cannot be had; whoever measures goes on without that peer and says so.
    """
    python, stamp = FOLDER / "bin" / "python", FOLDER / "stamp"
    wanted = _fingerprint()
    if python.exists() and stamp.exists() and stamp.read_text("utf-8") == wanted:
        return python
    log = FOLDER.with_name("peers.log")
    if wanted in _FAILED:
        raise Unavailable("peers.missing", log=log)
    print(said("peers.making", folder=FOLDER), file=sys.stderr, flush=True)
    begun = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    if not _ran([sys.executable, "-m", "venv", str(FOLDER)], log) or not _installed(python, log):
        _FAILED.add(wanted)
        raise Unavailable("peers.missing", log=log)
    stamp.write_text(wanted, "utf-8")  # last: what was interrupted before is made anew
    print(said("peers.made", seconds=round(time.monotonic() - begun)), file=sys.stderr, flush=True)
    return python


def tipg_url(url: str) -> str:
    """A database URL of ours as tipg takes it, which wants a socket's folder where others have the host's name."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.hostname or "host" not in query:
        return url
    host, port = quote(query["host"][0], safe=""), query.get("port", ["5432"])[0]
    return urlunsplit((parts.scheme, f"{parts.netloc}{host}:{port}", parts.path, "", ""))


def _fingerprint() -> str:
    """Of the requirements, the folder and the interpreter under the environment."""
    said_by = f"{FOLDER}\n{Path(sys.executable).resolve()}\n{sys.version}\n".encode()
    return hashlib.sha256(said_by + REQUIREMENTS.read_bytes()).hexdigest()


def _installed(python: Path, log: Path) -> bool:
    """With the fast installer, else with pip, which knows more kinds of proxy and mirror."""
    wanted = ["--require-hashes", "-r", str(REQUIREMENTS)]
    if UV.exists() and _ran([str(UV), "pip", "install", "--python", str(python), *wanted], log):
        return True
    return _ran([str(python), "-I", "-m", "pip", "--disable-pip-version-check", "install", *wanted], log)


def _ran(command: Sequence[str], log: Path) -> bool:
    with log.open("ab") as file:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=PROJECT, check=False)
    return done.returncode == 0
