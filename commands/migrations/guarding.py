"""How a new table of tenants is guarded; the same words for every migration from 0029 on."""

from __future__ import annotations

from alembic import op

_HERE = "municipality_id = current_municipality()"


def guard(*tables: str) -> None:
    """Show rows to their own municipality only, and all of them to the province; nobody else is let in."""
    for table in tables:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY province ON {table} TO lampione_province USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY tenant ON {table} TO lampione_app USING ({_HERE}) WITH CHECK ({_HERE})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lampione_app, lampione_province")


def guard_for_province(*tables: str) -> None:
    """Show rows that are no municipality's to the province only."""
    for table in tables:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY province ON {table} TO lampione_province USING (true) WITH CHECK (true)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lampione_province")
