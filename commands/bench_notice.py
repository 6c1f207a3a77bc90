"""The benchmark of notices: a hundred thousand recipients, real workers that are killed, a mail server of our own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from bench import notices
from bench.notices import Ground
from bench.results import Result
from city.registry import view
from city.settings import PROJECT
from commands.bench_ground import FOLDER, Plan, at_work, prepared, process_of
from commands.cluster import Cluster
from commands.serving import HOST, free_port
from commands.supervisor import TIED
from geo.place import Place
from workers.app import worker_settings

TOWN: Final = "padova"
MIDDLE: Final = Place(11.8768, 45.4064)
WORKERS: Final = 2


def run(cluster: Cluster, plan: Plan) -> list[Result]:
    """Tell everybody; the workers are killed twice."""
    port = free_port(HOST)
    sink = FOLDER / "sink.log"
    environment = prepared(cluster, "notice") | {"LAMPIONE_MAIL_URL": f"smtp://{HOST}:{port}"}
    command = [sys.executable, "-P", "-m", "bench.smtp_sink", str(port), str(sink)]

    @contextmanager
    def working() -> Iterator[None]:
        """Workers, killed at the end of the block as a power cut would."""
        with (FOLDER / "worker.log").open("ab") as log:
            processes = [
                subprocess.Popen(
                    [*TIED, sys.executable, "-P", "-m", "workers"],
                    stderr=log,
                    cwd=PROJECT,
                    env={**os.environ, **environment},
                )
                for _ in range(WORKERS)
            ]
            try:
                yield
            finally:
                for process in processes:
                    process.send_signal(signal.SIGKILL)
                for process in processes:
                    process.wait()

    with (
        at_work(environment),
        process_of(command, {}, FOLDER / "sink-errors.log"),
        psycopg.connect(cluster.url(database="notice")) as owner,
    ):
        time.sleep(0.5)
        town = view.load().slugs[TOWN]
        lanes = WORKERS * max(1, worker_settings().threads // 2)
        return notices.measure(
            Ground(owner, town, MIDDLE, plan.sizes[0], sink, port, lanes, working, plan.said),
        )
