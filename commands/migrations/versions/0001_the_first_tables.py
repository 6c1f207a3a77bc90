"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("message_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("queue", sa.String(), server_default="default", nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default="10", nullable=False),
        sa.Column("state", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("owner", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("visible_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("job_key")),
    )
    op.create_index("job_leased_index", "job", ["owner"], unique=False, postgresql_where=sa.text("state = 1"))
    op.create_index("job_message_index", "job", ["message_id"], unique=True)
    op.create_index(
        "job_next_index",
        "job",
        ["queue", "priority", "visible_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 0"),
    )
    op.create_geospatial_table(
        "municipality",
        sa.Column("id", sa.Integer(), sa.Identity(always=False, start=1, minvalue=0), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), server_default="municipality", nullable=False),
        sa.Column("istat_code", sa.String(), nullable=True),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("languages", postgresql.ARRAY(sa.Text()), server_default="{it,en}", nullable=False),
        sa.Column("time_zone", sa.String(), server_default="Europe/Rome", nullable=False),
        sa.Column("patron_day", sa.String(), nullable=True),
        sa.Column("patron_name", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("accepts_anonymous", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "boundary",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        sa.Column("fallback_department_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "kind = 'province' OR fallback_department_id IS NOT NULL", name=op.f("municipality_fallback_check")
        ),
        sa.CheckConstraint("kind IN ('municipality', 'province')", name=op.f("municipality_kind_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("municipality_key")),
        sa.UniqueConstraint("istat_code", name=op.f("municipality_istat_code_unique")),
        sa.UniqueConstraint("prefix", name=op.f("municipality_prefix_unique")),
        sa.UniqueConstraint("slug", name=op.f("municipality_slug_unique")),
    )
    op.create_geospatial_index(
        "idx_municipality_boundary",
        "municipality",
        ["boundary"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "registry_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("registry_version_one_row_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("registry_version_key")),
    )
    op.create_table(
        "category",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("group_slug", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name_it", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("privacy", sa.String(), server_default="public", nullable=False),
        sa.Column("deadline_days", sa.SmallInteger(), nullable=False),
        sa.Column("questions", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("emergency_words", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.SmallInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("privacy IN ('public', 'hidden')", name=op.f("category_privacy_check")),
        sa.CheckConstraint("deadline_days BETWEEN 1 AND 3650", name=op.f("category_deadline_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("category_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("category_key")),
    )
    op.create_index("category_id_unique", "category", ["id"], unique=True)
    op.create_index("category_slug_unique", "category", ["municipality_id", "slug"], unique=True)
    op.create_table(
        "category_group",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name_it", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("icon", sa.String(), nullable=False),
        sa.Column("colour", sa.String(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("category_group_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("category_group_key")),
    )
    op.create_index("category_group_slug_unique", "category_group", ["municipality_id", "slug"], unique=True)
    op.create_table(
        "category_override",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name_it", sa.String(), nullable=True),
        sa.Column("name_en", sa.String(), nullable=True),
        sa.Column("privacy", sa.String(), nullable=True),
        sa.Column("deadline_days", sa.SmallInteger(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=True),
        sa.CheckConstraint("privacy IN ('public', 'hidden')", name=op.f("category_override_privacy_check")),
        sa.CheckConstraint("deadline_days BETWEEN 1 AND 3650", name=op.f("category_override_deadline_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("category_override_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "slug", name=op.f("category_override_key")),
    )
    op.create_table(
        "client_request",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id"], ["municipality.id"], name=op.f("client_request_municipality_id_reference")
        ),
        sa.PrimaryKeyConstraint("municipality_id", "reference", name=op.f("client_request_key")),
    )
    op.create_table(
        "department",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name_it", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), server_default="office", nullable=False),
        sa.CheckConstraint("kind IN ('office', 'outside')", name=op.f("department_kind_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("department_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("department_key")),
    )
    op.create_index("department_slug_unique", "department", ["municipality_id", "slug"], unique=True)
    op.create_table(
        "person",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), server_default="it", nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id"], ["municipality.id"], name=op.f("person_municipality_id_reference"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("person_key")),
    )
    op.create_index("person_email_unique", "person", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "routing_rule",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("municipalities", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("category_slug", sa.String(), nullable=True),
        sa.Column("group_slug", sa.String(), nullable=True),
        sa.Column("layer_slug", sa.String(), nullable=True),
        sa.Column("zone_code", sa.String(), nullable=True),
        sa.Column("days", postgresql.ARRAY(sa.SmallInteger()), server_default="{}", nullable=False),
        sa.Column("starts_at", sa.Time(), nullable=True),
        sa.Column("ends_at", sa.Time(), nullable=True),
        sa.Column("department_slug", sa.String(), nullable=False),
        sa.Column("crew_slug", sa.String(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("note_it", sa.String(), nullable=True),
        sa.Column("note_en", sa.String(), nullable=True),
        sa.CheckConstraint("(starts_at IS NULL) = (ends_at IS NULL)", name=op.f("routing_rule_window_check")),
        sa.CheckConstraint("category_slug IS NULL OR group_slug IS NULL", name=op.f("routing_rule_one_subject_check")),
        sa.CheckConstraint(
            "layer_slug IS NOT NULL OR zone_code IS NULL", name=op.f("routing_rule_zone_of_layer_check")
        ),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("routing_rule_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("routing_rule_key")),
    )
    op.create_table(
        "zone_layer",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name_it", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), server_default="areas", nullable=False),
        sa.CheckConstraint("kind IN ('areas', 'corridors')", name=op.f("zone_layer_kind_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("zone_layer_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("zone_layer_key")),
    )
    op.create_index("zone_layer_slug_unique", "zone_layer", ["municipality_id", "slug"], unique=True)
    op.create_table(
        "access_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["municipality_id", "person_id"],
            ["person.municipality_id", "person.id"],
            name=op.f("access_token_municipality_id_person_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("access_token_key")),
    )
    op.create_table(
        "crew",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("department_id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id", "department_id"],
            ["department.municipality_id", "department.id"],
            name=op.f("crew_municipality_id_department_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("crew_key")),
    )
    op.create_index("crew_slug_unique", "crew", ["municipality_id", "slug"], unique=True)
    op.create_geospatial_table(
        "zone",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("layer_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "shape",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("half_width_metres", sa.Double(), nullable=True),
        sa.Column("valid_from", sa.Date(), server_default=sa.text("CURRENT_DATE"), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.CheckConstraint("half_width_metres > 0", name=op.f("zone_half_width_check")),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("zone_validity_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id", "layer_id"],
            ["zone_layer.municipality_id", "zone_layer.id"],
            name=op.f("zone_municipality_id_layer_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("zone_key")),
    )
    op.create_geospatial_index(
        "idx_zone_shape", "zone", ["shape"], unique=False, postgresql_using="gist", postgresql_ops={}
    )
    op.create_index("zone_code_unique", "zone", ["municipality_id", "layer_id", "code", "valid_from"], unique=True)
    op.create_table(
        "appointment",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("department_id", sa.Integer(), nullable=True),
        sa.Column("crew_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("role <> 'crew' OR crew_id IS NOT NULL", name=op.f("appointment_crew_check")),
        sa.CheckConstraint("role <> 'province_admin' OR municipality_id = 0", name=op.f("appointment_province_check")),
        sa.CheckConstraint(
            "role IN ('crew', 'clerk', 'head', 'council', 'municipality_admin', 'province_admin')",
            name=op.f("appointment_role_check"),
        ),
        sa.ForeignKeyConstraint(
            ["municipality_id", "crew_id"],
            ["crew.municipality_id", "crew.id"],
            name=op.f("appointment_municipality_id_crew_id_reference"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["municipality_id", "department_id"],
            ["department.municipality_id", "department.id"],
            name=op.f("appointment_municipality_id_department_id_reference"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["municipality_id", "person_id"],
            ["person.municipality_id", "person.id"],
            name=op.f("appointment_municipality_id_person_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("appointment_key")),
    )
    op.create_geospatial_table(
        "report",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=False),
        sa.Column("group_slug", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("suggestions", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("department_id", sa.Integer(), nullable=False),
        sa.Column("crew_id", sa.Integer(), nullable=True),
        sa.Column("routing", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("triage_reason", sa.String(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=False),
        sa.Column("lat", sa.Double(), nullable=False),
        sa.Column(
            "place",
            Geometry(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            sa.Computed("ST_SetSRID(ST_MakePoint(lon, lat), 4326)", persisted=True),
            nullable=False,
        ),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("cell_x", sa.Integer(), nullable=False),
        sa.Column("cell_y", sa.Integer(), nullable=False),
        sa.Column("zone_ids", postgresql.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("public_description", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("is_emergency", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("master_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("(state = 'duplicate') = (master_id IS NOT NULL)", name=op.f("report_master_check")),
        sa.CheckConstraint(
            "state IN ('received', 'triage', 'assigned', 'planned', 'in_progress', 'waiting', 'resolved', 'closed', 'rejected', 'duplicate', 'forwarded', 'withdrawn', 'reopened')",
            name=op.f("report_state_check"),
        ),
        sa.ForeignKeyConstraint(["category_id"], ["category.id"], name=op.f("report_category_id_reference")),
        sa.ForeignKeyConstraint(
            ["municipality_id", "crew_id"],
            ["crew.municipality_id", "crew.id"],
            name=op.f("report_municipality_id_crew_id_reference"),
        ),
        sa.ForeignKeyConstraint(
            ["municipality_id", "department_id"],
            ["department.municipality_id", "department.id"],
            name=op.f("report_municipality_id_department_id_reference"),
        ),
        sa.ForeignKeyConstraint(
            ["municipality_id", "master_id"],
            ["report.municipality_id", "report.id"],
            name=op.f("report_municipality_id_master_id_reference"),
        ),
        sa.ForeignKeyConstraint(
            ["municipality_id"], ["municipality.id"], name=op.f("report_municipality_id_reference")
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("report_key")),
        sa.UniqueConstraint("number", name=op.f("report_number_unique")),
    )
    op.create_index("report_cell_index", "report", ["municipality_id", "cell"], unique=False)
    op.create_index("report_department_index", "report", ["municipality_id", "department_id", "state"], unique=False)
    op.create_index(
        "report_master_index",
        "report",
        ["municipality_id", "master_id"],
        unique=False,
        postgresql_where=sa.text("master_id IS NOT NULL"),
    )
    op.create_index(
        "report_public_cell_index", "report", ["cell"], unique=False, postgresql_where=sa.text("is_public AND is_open")
    )
    op.create_index(
        "report_public_index", "report", ["created_at", "id"], unique=False, postgresql_where=sa.text("is_public")
    )
    op.create_index("report_worklist_index", "report", ["municipality_id", "created_at", "id"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(), server_default="email", nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="queued", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("receipt", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('queued', 'sent', 'refused')", name=op.f("delivery_state_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id", "report_id"],
            ["report.municipality_id", "report.id"],
            name=op.f("delivery_municipality_id_report_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("delivery_key")),
    )
    op.create_index(
        "delivery_once_unique", "delivery", ["municipality_id", "entry_id", "report_id", "address"], unique=True
    )
    op.create_index("delivery_report_index", "delivery", ["municipality_id", "report_id"], unique=False)
    op.create_table(
        "photo",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("dhash", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("metres_away", sa.Double(), nullable=True),
        sa.Column("is_far", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_public", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("state IN ('received', 'ready', 'failed')", name=op.f("photo_state_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id", "report_id"],
            ["report.municipality_id", "report.id"],
            name=op.f("photo_municipality_id_report_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("photo_key")),
    )
    op.create_index("photo_report_index", "photo", ["municipality_id", "report_id"], unique=False)
    op.create_table(
        "reporter",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id", "report_id"],
            ["report.municipality_id", "report.id"],
            name=op.f("reporter_municipality_id_report_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "report_id", name=op.f("reporter_key")),
    )
    op.create_table(
        "timeline_entry",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id", "report_id"],
            ["report.municipality_id", "report.id"],
            name=op.f("timeline_entry_municipality_id_report_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("timeline_entry_key")),
    )
    op.create_index(
        "timeline_entry_report_index", "timeline_entry", ["municipality_id", "report_id", "id"], unique=False
    )
    op.create_table(
        "training_pair",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["category_id"], ["category.id"], name=op.f("training_pair_category_id_reference")),
        sa.ForeignKeyConstraint(
            ["municipality_id", "report_id"],
            ["report.municipality_id", "report.id"],
            name=op.f("training_pair_municipality_id_report_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "report_id", name=op.f("training_pair_key")),
    )
    op.create_table(
        "tile_cell",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False, comment="Morton key at this level"),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("group_slug", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sum_x", sa.BigInteger(), nullable=False, comment="columns of the finest level, added up"),
        sa.Column("sum_y", sa.BigInteger(), nullable=False, comment="rows of the finest level, added up"),
        sa.PrimaryKeyConstraint("level", "cell", "municipality_id", "group_slug"),
    )
    op.create_table(
        "tile_delta",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False, comment="Morton key at the finest level"),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("group_slug", sa.Text(), nullable=False),
        sa.Column("count", sa.SmallInteger(), nullable=False, comment="+1 appeared, -1 disappeared"),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("tile_delta_cell_index", "tile_delta", ["cell"], unique=False)
    op.create_foreign_key(
        "municipality_fallback_reference",
        "municipality",
        "department",
        ["id", "fallback_department_id"],
        ["municipality_id", "id"],
        initially="DEFERRED",
        deferrable=True,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_constraint("municipality_fallback_reference", "municipality", type_="foreignkey")
    op.drop_index("tile_delta_cell_index", table_name="tile_delta")
    op.drop_table("tile_delta")
    op.drop_table("tile_cell")
    op.drop_table("training_pair")
    op.drop_index("timeline_entry_report_index", table_name="timeline_entry")
    op.drop_table("timeline_entry")
    op.drop_table("reporter")
    op.drop_index("photo_report_index", table_name="photo")
    op.drop_table("photo")
    op.drop_index("delivery_report_index", table_name="delivery")
    op.drop_index("delivery_once_unique", table_name="delivery")
    op.drop_table("delivery")
    op.drop_index("report_worklist_index", table_name="report")
    op.drop_index("report_public_index", table_name="report", postgresql_where=sa.text("is_public"))
    op.drop_index("report_public_cell_index", table_name="report", postgresql_where=sa.text("is_public AND is_open"))
    op.drop_index("report_master_index", table_name="report", postgresql_where=sa.text("master_id IS NOT NULL"))
    op.drop_index("report_department_index", table_name="report")
    op.drop_index("report_cell_index", table_name="report")
    op.drop_geospatial_table("report")
    op.drop_table("appointment")
    op.drop_index("zone_code_unique", table_name="zone")
    op.drop_geospatial_index("idx_zone_shape", table_name="zone", postgresql_using="gist", column_name="shape")
    op.drop_geospatial_table("zone")
    op.drop_index("crew_slug_unique", table_name="crew")
    op.drop_table("crew")
    op.drop_table("access_token")
    op.drop_index("zone_layer_slug_unique", table_name="zone_layer")
    op.drop_table("zone_layer")
    op.drop_table("routing_rule")
    op.drop_index("person_email_unique", table_name="person")
    op.drop_table("person")
    op.drop_index("department_slug_unique", table_name="department")
    op.drop_table("department")
    op.drop_table("client_request")
    op.drop_table("category_override")
    op.drop_index("category_group_slug_unique", table_name="category_group")
    op.drop_table("category_group")
    op.drop_index("category_slug_unique", table_name="category")
    op.drop_index("category_id_unique", table_name="category")
    op.drop_table("category")
    op.drop_table("registry_version")
    op.drop_geospatial_index(
        "idx_municipality_boundary", table_name="municipality", postgresql_using="gist", column_name="boundary"
    )
    op.drop_geospatial_table("municipality")
    op.drop_index("job_next_index", table_name="job", postgresql_where=sa.text("state = 0"))
    op.drop_index("job_message_index", table_name="job")
    op.drop_index("job_leased_index", table_name="job", postgresql_where=sa.text("state = 1"))
    op.drop_table("job")
