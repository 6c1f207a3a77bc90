"""Put broker, middleware and actors together, as the settings say."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Final

import dramatiq
from dramatiq.middleware import Retries, TimeLimit
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from city.errors import SettingsError
from city.settings import settings
from workers.broker import PostgresBroker

PREFIX: Final = "LAMPIONE_WORKER_"
MILLISECONDS: Final = 1000


class WorkerSettings(BaseSettings):
    """What the operator may set of a worker process, by variables that start with `LAMPIONE_WORKER_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    threads: int = Field(default=4, ge=1, le=200)
    """Jobs done at once by one process."""
    webhook_threads: int = Field(default=6, ge=1, le=100)
    """Calls to webhooks at once by one process, beside the jobs."""
    most_retries: int = Field(default=12, ge=0)
    """A job that has failed once more than this often becomes a dead letter; with the waits below, after an hour."""
    shortest_wait_seconds: float = Field(default=1.0, gt=0)
    """The wait before the first retry; it doubles each time, and up to as much again is added by chance."""
    longest_wait_seconds: float = Field(default=900.0, gt=0)
    longest_job_seconds: float = Field(default=600.0, gt=0)
    """A job that runs longer is interrupted, and counts as failed."""
    grace_seconds: float = Field(default=30.0, ge=0)
    """How long running jobs may go on after SIGTERM."""


@cache
def worker_settings() -> WorkerSettings:
    """The worker settings of this process, read once. Raises SettingsError."""
    try:
        return WorkerSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise SettingsError("settings.unreadable", name=name, problem=first["msg"]) from error


def make_broker(url: str, chosen: WorkerSettings) -> PostgresBroker:
    """A broker with our middleware and no actors yet, on the database at `url`."""
    return PostgresBroker(
        url,
        middleware=[
            TimeLimit(time_limit=chosen.longest_job_seconds * MILLISECONDS),
            Retries(
                max_retries=chosen.most_retries,
                min_backoff=round(chosen.shortest_wait_seconds * MILLISECONDS),
                max_backoff=round(chosen.longest_wait_seconds * MILLISECONDS),
            ),
        ],
    )


@cache
def broker() -> PostgresBroker:
    """The broker of this process with the city's actors; touches no database yet.

    Actors belong to the broker that is set when their module is first read, so `workers.actors` is read here.
    """
    made = make_broker(settings().database_url, worker_settings())
    dramatiq.set_broker(made)
    for name in (
        "workers.actors",
        "workers.citizen_actors",
        "workers.handover_actors",
        "workers.mail_actors",
        "workers.hook_actors",
        "workers.notice_actors",
    ):
        importlib.import_module(name)
    return made
