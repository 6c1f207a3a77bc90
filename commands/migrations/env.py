"""How alembic meets the models: every table of the city and of the Earth, and no table without a model is dropped."""

from __future__ import annotations

from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import create_engine

import city.jobs
import city.messages.hooks.tables
import city.messages.tables
import city.records.contact_tables
import city.records.search_tables
import city.records.tables
import city.registry.address_tables
import city.registry.channel_tables
import city.registry.notice_tables
import city.registry.schedule_tables
import city.registry.tables
import city.reports.desk_tables
import city.reports.dialogue_tables
import city.reports.field_tables
import city.reports.tables
from city.database import Base
from geo.tables import metadata as geo_metadata

# isort: split
import city.registry.body_tables
import city.registry.citizen_tables
import city.registry.provider_tables
import city.registry.role_tables
import city.reports.handover_tables  # noqa: F401

FOREIGN = {"spatial_ref_sys", "alembic_version"}


def include_object(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave alone what PostGIS and alembic brought."""
    if kind == "table" and name in FOREIGN:
        return False
    return bool(alembic_helpers.include_object(thing, name, kind, reflected, compare_to))  # type: ignore[no-untyped-call]


def run() -> None:
    """Migrate with the connection given by `commands.migrating`, or an own one."""
    connection = context.config.attributes.get("connection")
    engine = None if connection is not None else create_engine(context.config.attributes["url"])
    with connection or engine.connect() as link:  # type: ignore[union-attr]
        context.configure(
            connection=link,
            target_metadata=[Base.metadata, geo_metadata],
            include_object=include_object,
            process_revision_directives=alembic_helpers.writer,
            render_item=alembic_helpers.render_item,
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.run_migrations()
        link.commit()


run()
