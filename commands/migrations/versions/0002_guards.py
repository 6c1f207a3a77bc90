"""Who may see and change which rows, and what the database itself keeps true.

Row-level security is forced on every table of a tenant. `lampione_app` sees the municipality it has named for the
transaction, `lampione_province` (a role that must be put on by name) all of them, `lampione_reader` what is public,
and of reporters nothing at all.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TENANT_TABLES = (
    "report",
    "reporter",
    "timeline_entry",
    "photo",
    "client_request",
    "training_pair",
    "delivery",
    "person",
    "appointment",
    "access_token",
)
REGISTRY_TABLES = (
    "department",
    "crew",
    "zone_layer",
    "zone",
    "category_group",
    "category",
    "category_override",
    "routing_rule",
)
SHARED_TABLES = ("job", "tile_cell", "tile_delta")

FUNCTIONS = """
CREATE FUNCTION current_municipality() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('lampione.municipality', true), '')::integer $$;

CREATE FUNCTION report_appeared() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO tile_delta (cell, municipality_id, group_slug, count, x, y)
  SELECT cell, municipality_id, group_slug, 1, cell_x, cell_y
  FROM appeared WHERE is_public AND is_open;
  RETURN NULL;
END $$;

CREATE FUNCTION report_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.is_public AND OLD.is_open THEN
    INSERT INTO tile_delta (cell, municipality_id, group_slug, count, x, y)
    VALUES (OLD.cell, OLD.municipality_id, OLD.group_slug, -1, OLD.cell_x, OLD.cell_y);
  END IF;
  IF TG_OP = 'UPDATE' AND NEW.is_public AND NEW.is_open THEN
    INSERT INTO tile_delta (cell, municipality_id, group_slug, count, x, y)
    VALUES (NEW.cell, NEW.municipality_id, NEW.group_slug, 1, NEW.cell_x, NEW.cell_y);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION registry_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
  UPDATE registry_version SET version = version + 1;
  RETURN NULL;
END $$;

CREATE FUNCTION timeline_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the timeline is append-only';
END $$;
"""

TRIGGERS = """
CREATE TRIGGER report_appeared AFTER INSERT ON report
  REFERENCING NEW TABLE AS appeared FOR EACH STATEMENT EXECUTE FUNCTION report_appeared();
CREATE TRIGGER report_moved AFTER UPDATE ON report FOR EACH ROW
  WHEN ((OLD.is_public, OLD.is_open, OLD.group_slug, OLD.cell)
        IS DISTINCT FROM (NEW.is_public, NEW.is_open, NEW.group_slug, NEW.cell))
  EXECUTE FUNCTION report_changed();
CREATE TRIGGER report_disappeared AFTER DELETE ON report FOR EACH ROW EXECUTE FUNCTION report_changed();
CREATE TRIGGER timeline_is_append_only BEFORE UPDATE ON timeline_entry
  FOR EACH ROW EXECUTE FUNCTION timeline_is_append_only();
"""

PUBLIC_REPORT = (
    "municipality_id, id, number, state, category_id, group_slug, department_id, lon, lat, place, cell, cell_x, cell_y, zone_ids,"
    " public_description, source, is_public, is_open, created_at, updated_at, deadline_at, master_id"
)

GRANTS = f"""
GRANT USAGE ON SCHEMA public TO lampione_app, lampione_province, lampione_reader;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT SELECT ON registry_version, municipality TO lampione_app, lampione_province, lampione_reader;
GRANT SELECT ON alembic_version TO lampione_app;
GRANT INSERT, UPDATE, DELETE ON municipality TO lampione_province;
GRANT UPDATE ON municipality TO lampione_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON {", ".join(REGISTRY_TABLES + SHARED_TABLES)} TO lampione_app, lampione_province;
GRANT SELECT, INSERT, UPDATE, DELETE ON {", ".join(TENANT_TABLES)} TO lampione_app, lampione_province;
REVOKE UPDATE, DELETE ON timeline_entry FROM lampione_app, lampione_province;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO lampione_app, lampione_province;
GRANT SELECT ON department, zone_layer, zone, category_group, category, category_override, tile_cell, tile_delta
  TO lampione_reader;
GRANT SELECT ({PUBLIC_REPORT}) ON report TO lampione_reader;
GRANT SELECT (municipality_id, id, report_id, at, what, actor, is_public, from_state, to_state, note)
  ON timeline_entry TO lampione_reader;
GRANT SELECT (municipality_id, id, report_id, position, state, width, height, is_public) ON photo TO lampione_reader;
"""


def upgrade() -> None:
    """Go up."""
    op.execute("CREATE SEQUENCE report_number")
    op.execute(FUNCTIONS)
    op.execute(TRIGGERS)
    op.execute("INSERT INTO registry_version (id, version) VALUES (1, 1)")
    op.execute(GRANTS)
    owner = "USING (true) WITH CHECK (true)"
    for table in (*TENANT_TABLES, *REGISTRY_TABLES, "municipality"):
        key = "id" if table == "municipality" else "municipality_id"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER {owner}")
        op.execute(f"CREATE POLICY province ON {table} TO lampione_province {owner}")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO lampione_app"
            f" USING ({key} = current_municipality()) WITH CHECK ({key} = current_municipality())"
        )
    for table in (*REGISTRY_TABLES, "municipality"):
        key = "id" if table == "municipality" else "municipality_id"
        op.execute(f"CREATE POLICY inherited ON {table} FOR SELECT TO lampione_app USING ({key} = 0)")
        op.execute(
            f"CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION registry_changed()"
        )
    for table in (
        "department",
        "zone_layer",
        "zone",
        "category_group",
        "category",
        "category_override",
        "municipality",
    ):
        op.execute(f"CREATE POLICY public_view ON {table} FOR SELECT TO lampione_reader USING (true)")
    op.execute("CREATE POLICY public_view ON report FOR SELECT TO lampione_reader USING (is_public)")
    for table, seen in (("timeline_entry", "is_public"), ("photo", "is_public AND state = 'ready'")):
        op.execute(
            f"CREATE POLICY public_view ON {table} FOR SELECT TO lampione_reader USING ({seen} AND EXISTS ("
            f" SELECT FROM report WHERE report.municipality_id = {table}.municipality_id"
            f" AND report.id = {table}.report_id))"
        )
    op.execute(
        "ALTER TABLE job SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);"
        "ALTER TABLE tile_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)"
    )


def downgrade() -> None:
    """Go back."""
    for table in (*TENANT_TABLES, *REGISTRY_TABLES, "municipality"):
        for policy in ("owner", "province", "tenant", "inherited", "public_view"):
            op.execute(f"DROP POLICY IF EXISTS {policy} ON {table}")
        op.execute(f"DROP TRIGGER IF EXISTS registry_changed ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for trigger in ("report_appeared", "report_moved", "report_disappeared"):
        op.execute(f"DROP TRIGGER {trigger} ON report")
    op.execute("DROP TRIGGER timeline_is_append_only ON timeline_entry")
    op.execute("DELETE FROM registry_version")
    for function in (
        "report_appeared()",
        "report_changed()",
        "registry_changed()",
        "timeline_is_append_only()",
        "current_municipality()",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP SEQUENCE report_number")
    op.execute(
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM lampione_app, lampione_province, lampione_reader;"
        "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM lampione_app, lampione_province, lampione_reader"
    )
