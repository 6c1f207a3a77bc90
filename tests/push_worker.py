"""A worker for which browsers are reached on this machine: `python push_worker.py`."""

from __future__ import annotations

import runpy

from city.messages import push
from tests.push_service import door_of

if __name__ == "__main__":
    push.door_of = door_of
    runpy.run_module("workers", run_name="__main__")
