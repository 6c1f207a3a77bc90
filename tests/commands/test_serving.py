"""`./lampione up`: API and worker come up, come back when they fall, and end with the one who watches over them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from city.settings import PROJECT
from tests.trials import any_port, eventually


def children_of(process: int) -> dict[str, int]:
    """The processes started by `process`, by what they run."""
    found: dict[str, int] = {}
    for child in Path(f"/proc/{process}/task").glob("*/children"):
        for pid in child.read_text().split():
            command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            if name := re.search(r"uvicorn|workers|setpriv", command):
                found[name.group()] = int(pid)
    return found


@pytest.mark.usefixtures("database")
def test_api_and_worker_come_up_come_back_and_end() -> None:
    port = any_port()
    watcher = subprocess.Popen(
        [sys.executable, "-P", "-m", "commands", "up", "--port", str(port)],
        cwd=PROJECT,
        env=os.environ | {"NO_COLOR": "1"},
    )

    def answers() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
        return False

    try:
        eventually(answers, 60)
        assert "commands.supervisor" in Path(f"/proc/{watcher.pid}/cmdline").read_text(), "it is lean by now"
        eventually(lambda: set(children_of(watcher.pid)) == {"uvicorn", "workers"})
        before = children_of(watcher.pid)
        os.kill(before["uvicorn"], signal.SIGKILL)
        eventually(lambda: children_of(watcher.pid).get("uvicorn") not in {None, before["uvicorn"]} and answers(), 60)
        assert children_of(watcher.pid)["workers"] == before["workers"]
    finally:
        watcher.terminate()
        assert watcher.wait(60) == 0
    assert not Path(f"/proc/{before['workers']}").exists()
    assert not answers()


@pytest.mark.usefixtures("database")
def test_of_two_started_at_once_on_one_port_one_is_refused_and_the_other_ends_in_order_before_it_is_ready(
    tmp_path: Path,
) -> None:
    port = any_port()
    command = [sys.executable, "-P", "-m", "commands", "up", "--port", str(port)]
    with (tmp_path / "said").open("w") as said:
        both = [subprocess.Popen(command, cwd=PROJECT, stderr=said) for _ in range(2)]
    try:
        refused = eventually(lambda: next((each for each in both if each.poll() is not None), None), 60)
        assert refused.returncode == 1
        assert str(port) in (tmp_path / "said").read_text()
        watcher = next(each for each in both if each is not refused)
        eventually(lambda: "workers" in children_of(watcher.pid), 60)
        watcher.terminate()
        assert watcher.wait(60) == 0
    finally:
        for each in both:
            each.kill()
            each.wait()
