"""The peer of a tile that is ready: nginx, which serves the very same bytes as files.

Where the machine has no nginx, Debian's package is unpacked into `var/bench`: nothing is installed or started by it.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from city.errors import Unavailable

READY_WITHIN_SECONDS: Final = 10.0

CONFIGURATION: Final = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 100000000; sendfile on; tcp_nodelay on; open_file_cache max=1000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      root {folder}/files; default_type application/vnd.mapbox-vector-tile; add_header Content-Encoding gzip;
    }}
  }}
}}
"""


def program(folder: Path) -> Path:
    """Nginx itself. Raises Unavailable where it cannot be had."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found:
        return Path(found)
    unpacked = folder / "nginx"
    if not (unpacked / "usr/sbin/nginx").exists():
        unpacked.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(["apt-get", "-q", "download", "nginx"], cwd=unpacked, capture_output=True, check=False)
        for package in unpacked.glob("nginx_*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(unpacked)], check=True)
        if fetched.returncode or not (unpacked / "usr/sbin/nginx").exists():
            raise Unavailable("bench.no_nginx")
    return unpacked / "usr/sbin/nginx"


@contextlib.contextmanager
def serving(folder: Path, port: int, files: Mapping[str, bytes]) -> Iterator[str]:
    """The address of an nginx that serves `files` by their path. Raises Unavailable."""
    nginx = program(folder)
    root = folder / "nginx-run"
    shutil.rmtree(root, ignore_errors=True)
    for path, data in files.items():
        file = root / "files" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    for made in (root, *root.rglob("*")):
        made.chmod(0o755 if made.is_dir() else 0o644)
    configuration = root / "nginx.conf"
    # As root, nginx's workers become another user, who may not enter the folders above; they stay root here.
    configuration.write_text(f"user root;{CONFIGURATION.format(folder=root, port=port)}", "utf-8")
    process = subprocess.Popen([nginx, "-c", str(configuration), "-p", str(root)], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}{next(iter(files))}")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait(address: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(address, timeout=2).close()  # noqa: S310  (our own address)
            return
        time.sleep(0.05)
    raise Unavailable("bench.no_nginx")


def tags(address: str, files: Mapping[str, bytes]) -> Callable[[str], str]:
    """What nginx calls the version of each file."""
    known = {}
    for path in files:
        with urllib.request.urlopen(address + path, timeout=5) as answer:  # noqa: S310  (our own address)
            known[path] = answer.headers["ETag"]
    return known.__getitem__
