"""Failures told without values, in the table and in the log."""

from __future__ import annotations

import io
import json
import logging
import sys

import psycopg
import pytest
import structlog

from city.errors import Unavailable
from city.failures import told
from city.logs import write_logs

EMAIL = "anna.rossi@example.org"


def deep_failure() -> Exception:
    def inner() -> None:
        raise ValueError(EMAIL)

    def outer() -> None:
        try:
            inner()
        except ValueError as error:
            raise Unavailable("mail.silent", problem=EMAIL) from error

    try:
        outer()
    except Unavailable as error:
        return error
    raise AssertionError


def test_a_failure_is_told_by_class_key_cause_and_place() -> None:
    line = told(deep_failure())
    assert line.startswith("Unavailable(mail.silent) ← ValueError at ")
    assert "tests/workers/test_failures.py:" in line
    assert line.endswith(" outer")
    assert EMAIL not in line


def test_a_failure_of_the_database_is_told_by_its_code() -> None:
    assert told(psycopg.errors.UniqueViolation(f"Key (email)=({EMAIL})")) == "UniqueViolation(23505)"


def test_the_log_quotes_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        write_logs()
        try:
            raise deep_failure()
        except Unavailable:
            logging.getLogger("dramatiq.worker").exception("Failed to process message %s", "note(id=1)")
            structlog.get_logger("workers.trial").error("job_dead", message_id="7")
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    foreign, own = (json.loads(line) for line in written.getvalue().splitlines())
    assert foreign["event"] == "Failed to process message note(id=1)"
    assert foreign["error"].startswith("Unavailable(mail.silent)")
    assert (own["event"], own["message_id"], own["level"]) == ("job_dead", "7", "error")
    assert EMAIL not in written.getvalue()
