"""How alembic meets the models: every table of the city and of the Earth, and no table without a model is dropped."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import create_engine

import city
from city.database import Base
from geo.tables import metadata as geo_metadata

for module in pkgutil.walk_packages(city.__path__, "city."):
    if module.name.endswith(("tables", ".jobs")):
        importlib.import_module(module.name)

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
