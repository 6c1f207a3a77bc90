"""A worker that looks for returned mail only when a test says so: `python -m tests.worker_without_mailbox`."""

from __future__ import annotations

import runpy

from workers import mail_duties

if __name__ == "__main__":
    mail_duties.MAIL_CHORES = tuple(  # type: ignore[misc]
        chore for chore in mail_duties.MAIL_CHORES if chore.name != "look_for_bounces"
    )
    runpy.run_module("workers", run_name="__main__")
