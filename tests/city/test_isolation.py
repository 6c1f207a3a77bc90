"""What the database itself lets each role see and change: tenants apart, reporters hidden, history kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest
import uvicorn
from fastapi.testclient import TestClient
from psycopg import sql
from psycopg.errors import CheckViolation, InsufficientPrivilege, RaiseException

from api.app import create_app
from city.registry import view
from city.settings import settings
from tests.trials import visiting

SHARED = {"tile_cell", "tile_delta", "tile_fold", "pace"}
"""Numbers of what is public already, and how often somebody unnamed has tried: no tenant's secret."""
APPEND_ONLY = {"timeline_entry", "contact_look"}
READERS_NOTHING = (
    "field_operation",
    "crew_spell",
    "photo_upload",
    "reporter",
    "citizen",
    "citizen_session",
    "citizen_code",
    "outside_body",
    "identity_provider",
    "provider_post",
    "person_identity",
    "pending_sign_in",
    "sign_in_ticket",
    "webhook",
    "hook_delivery",
    "hook_replay",
    "hook_position",
    "person",
    "appointment",
    "role",
    "contact_look",
    "access_token",
    "stream_ticket",
    "second_factor",
    "password_reset",
    "app_io_service",
    "staff_channel",
    "subscriber",
    "subscription",
    "subscription_cell",
    "tiding",
    "report_told",
    "pace",
    "delivery",
    "job",
    "client_request",
    "training_pair",
    "routing_rule",
    "crew",
    "watcher",
    "mention",
    "saved_filter",
    "stack_run",
    "search_due",
    "question",
    "feedback",
    "reply_template",
    "dialogue_terms",
    "notice_telling",
    "notice_report",
)
SECRET_COLUMNS = {
    "report": {
        "description",
        "answers",
        "address",
        "address_source",
        "routing",
        "suggestions",
        "triage_reason",
        "crew_id",
        "confidence",
    },
    "notice": {"area", "zones", "publish_at", "person_id", "applies_to_reports", "created_at"},
    "timeline_entry": {"details", "person_id", "transaction"},
    "photo": {"sha256", "dhash", "metres_away", "taken_at", "is_far"},
    "handover": {"words", "link_hash", "reference", "reference_token", "problem", "person_id", "shares_contact"},
}

Admin = psycopg.Connection[Any]


@pytest.fixture
def admin(database: str) -> Iterator[Admin]:
    """The superuser, whose transaction is undone; it may put on any role."""
    with psycopg.connect(database) as connection:
        yield connection
        connection.rollback()


def put_on(admin: Admin, role: str, municipality_id: int | None = None) -> None:
    admin.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
    value = "" if municipality_id is None else str(municipality_id)
    admin.execute("SELECT set_config('lampione.municipality', %s, true)", (value,))


def take_off(admin: Admin) -> None:
    admin.execute("RESET ROLE")


def one(admin: Admin, query: str, *values: Any) -> Any:
    row = admin.execute(query, values).fetchone()  # type: ignore[call-overload]
    return row[0] if row else None


def tenant_tables(admin: Admin) -> dict[str, str]:
    """Every table with rows of tenants and the column that says whose, from the catalogue."""
    rows = admin.execute(
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT attisdropped"
        " AND attname = 'municipality_id' ORDER BY relname"
    )
    return {"municipality": "id"} | {name: column for name, column in rows if name not in SHARED}


def columns(admin: Admin, table: str) -> list[str]:
    rows = admin.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attgenerated = '' ORDER BY attnum",
        (table,),
    )
    return [row[0] for row in rows]


def attempt(admin: Admin, query: sql.Composable, values: tuple[Any, ...] = ()) -> int | str:
    """How many rows it changed, or the class of the database's refusal."""
    try:
        with admin.transaction():
            return admin.execute(query, values).rowcount
    except psycopg.Error as error:
        return type(error).__name__


class Towns(NamedTuple):
    """Two municipalities with at least one row in every table."""

    here: int
    there: int
    report: UUID
    hidden: UUID


@pytest.fixture
def towns(admin: Admin, client: TestClient) -> Towns:
    """Pesaro and Padova, with a report that has left a row everywhere, and a hidden one."""
    for place in ({"lon": 12.9135, "lat": 43.9098}, {"lon": 11.8768, "lat": 45.4064}):
        answer = client.post(
            "/api/v1/reports",
            json=place
            | {
                "description": "Lampione spento davanti al civico 12",
                "category": "lamp-out",
                "contact": {"email": "anna@example.org"},
                "client_reference": str(uuid4()),
            },
        )
        assert answer.status_code == 201
    hidden = client.post(
        "/api/v1/reports",
        json={"lon": 12.9135, "lat": 43.9098, "description": "Non mi sento sicura", "category": "unsafe-place"},
    ).json()
    assert hidden["is_public"] is False
    slugs = view.held().slugs
    here, there = slugs["pesaro"].id, slugs["padova"].id
    for town in (here, there):
        report = one(admin, "SELECT id FROM report WHERE municipality_id = %s AND is_public", town)
        values = {"town": town, "report": report, "person": one(admin, _PERSON, town), "id": uuid4()}
        for statement in _ROWS:
            admin.execute(statement, values)
    report = one(admin, "SELECT id FROM report WHERE municipality_id = %s AND is_public", here)
    return Towns(here, there, report, UUID(hidden["id"]))


_PERSON = "SELECT min(id) FROM person WHERE municipality_id = %s"
_ROWS = (
    (
        "INSERT INTO field_operation (municipality_id, id, report_id, crew_id, person_id, device, sequence, kind,"
        " device_at, happened_at, fingerprint, first, outcome) VALUES (%(town)s, %(id)s, %(report)s, 1, %(person)s,"
        " 'tablet', 1, 'note', now(), now(), '', 'applied', 'applied')"
    ),
    (
        "INSERT INTO photo_upload (municipality_id, id, crew_id, person_id, length, expires_at)"
        " VALUES (%(town)s, %(id)s, 1, %(person)s, 5, now())"
    ),
    "INSERT INTO crew_spell (municipality_id, report_id, ended_at) VALUES (%(town)s, %(report)s, now())",
    (
        "INSERT INTO photo (municipality_id, id, report_id, position, state, sha256, width, height, dhash, is_public)"
        " VALUES (%(town)s, gen_random_uuid(), %(report)s, 0, 'ready', '', 1, 1, 0, true),"
        " (%(town)s, gen_random_uuid(), %(report)s, 1, 'ready', '', 1, 1, 0, false)"
    ),
    (
        "INSERT INTO training_pair (municipality_id, report_id, category_id, person_id)"
        " SELECT %(town)s, %(report)s, id, %(person)s FROM category LIMIT 1"
    ),
    (
        "INSERT INTO delivery (municipality_id, report_id, entry_id, address, language, subject)"
        " VALUES (%(town)s, %(report)s, 1, 'anna@example.org', 'it', 'Ricevuta')"
    ),
    (
        "INSERT INTO paused_address (municipality_id, address, bounce, status)"
        " VALUES (%(town)s, 'anna@example.org', 'hard', '5.1.1')"
    ),
    (
        "INSERT INTO watcher (municipality_id, person_id, report_id, told_id)"
        " VALUES (%(town)s, %(person)s, %(report)s, 1)"
    ),
    (
        "INSERT INTO mention (municipality_id, person_id, entry_id, report_id)"
        " VALUES (%(town)s, %(person)s, 1, %(report)s)"
    ),
    (
        "INSERT INTO saved_filter (municipality_id, person_id, name, conditions, sorting)"
        " VALUES (%(town)s, %(person)s, 'buche', '{}', 'newest')"
    ),
    (
        "INSERT INTO stack_run (municipality_id, reference, person_id, request_hash, answer)"
        " VALUES (%(town)s, %(id)s, %(person)s, '', '{}')"
    ),
    (
        "INSERT INTO access_token (token_hash, municipality_id, person_id, expires_at)"
        " VALUES (uuid_send(%(id)s), %(town)s, %(person)s, now())"
    ),
    (
        "INSERT INTO second_factor (municipality_id, person_id, secret, last_step, paper)"
        " VALUES (%(town)s, %(person)s, '', 0, '{}')"
    ),
    (
        "WITH asked AS (INSERT INTO subscriber (municipality_id, address) VALUES (%(town)s, 'anna@example.org')"
        " RETURNING id), wanted AS (INSERT INTO subscription (municipality_id, subscriber_id, kind)"
        " SELECT %(town)s, id, 'municipality' FROM asked RETURNING id, subscriber_id),"
        " cell AS (INSERT INTO subscription_cell SELECT %(town)s, 0, id, subscriber_id, true, 3 FROM wanted)"
        " INSERT INTO tiding (municipality_id, subscriber_id, subscription_id, report_id, first_id, entry_id,"
        " due_at) SELECT %(town)s, subscriber_id, id, %(report)s, 1, 1, now() FROM wanted"
    ),
    (
        "INSERT INTO contact_look (municipality_id, report_id, home_id, person_id, why)"
        " VALUES (%(town)s, %(report)s, %(town)s, %(person)s, 'opened')"
    ),
    (
        "INSERT INTO staff_channel (municipality_id, name, address, schema, hears)"
        " VALUES (%(town)s, 'chat', '', 'tgram', '{arrived}')"
    ),
    "INSERT INTO app_io_service (municipality_id, key) VALUES (%(town)s, '')",
    "INSERT INTO report_told (municipality_id, report_id, entry_id) VALUES (%(town)s, %(report)s, 1)",
    "INSERT INTO password_reset (municipality_id, person_id) VALUES (%(town)s, %(person)s)",
    (
        "INSERT INTO stream_ticket (ticket_hash, municipality_id, person_id, token_hash, expires_at)"
        " VALUES (uuid_send(%(id)s), %(town)s, %(person)s, '', now())"
    ),
    (
        "WITH made AS (INSERT INTO identity_provider (municipality_id, slug, name_it, name_en, audience, issuer,"
        " client_id, client_auth, secret, scopes, acr_values, strong_values, groups_claim, email_claim, name_claim)"
        " VALUES (%(town)s, 'office', '', '', 'staff', '', '', 'client_secret_basic', '', '{}', '{}', '{}', '', '', '')"
        " RETURNING id), given AS (INSERT INTO provider_post (municipality_id, provider_id, member_of, role_owner_id,"
        " role, groups, categories, zones) SELECT %(town)s, id, 'council', 0, 'council', '{}', '{}', '{}' FROM made),"
        " gone AS (INSERT INTO pending_sign_in (municipality_id, provider_id, browser_hash, return_to)"
        " SELECT %(town)s, id, '', '/' FROM made)"
        " INSERT INTO sign_in_ticket (ticket_hash, municipality_id, provider_id, person_id, browser_hash, is_strong,"
        " expires_at) SELECT uuid_send(%(id)s), %(town)s, id, %(person)s, '', false, now() FROM made"
    ),
    (
        "INSERT INTO person_identity (municipality_id, issuer, subject, person_id)"
        " VALUES (%(town)s, 'https://login.example.org', 'anna', %(person)s)"
    ),
    (
        "INSERT INTO timeline_entry (municipality_id, report_id, what, actor, is_public, note)"
        " VALUES (%(town)s, %(report)s, 'note', 'staff', false, 'fra noi')"
    ),
    (
        "INSERT INTO category_group (municipality_id, slug, name_it, name_en, icon, colour, position)"
        " VALUES (%(town)s, 'own', 'Nostro', 'Ours', 'x', '#000', 99)"
    ),
    (
        "INSERT INTO category (municipality_id, group_slug, slug, name_it, name_en, deadline_amount)"
        " VALUES (%(town)s, 'roads', 'own', 'Nostra', 'Ours', 5)"
    ),
    (
        "INSERT INTO category_override (municipality_id, slug, deadline_amount, deadline_unit)"
        " VALUES (%(town)s, 'lamp-out', 5, 'working_days') ON CONFLICT DO NOTHING"
    ),
    (
        "INSERT INTO closing_day (municipality_id, day, name) VALUES (%(town)s, '2026-12-24', 'Ponte'),"
        " (0, '2026-12-31', 'Ponte') ON CONFLICT DO NOTHING"
    ),
    "INSERT INTO routing_rule (municipality_id, department_slug) VALUES (%(town)s, 'urp')",
    (
        "INSERT INTO role (municipality_id, slug, name_it, name_en, rights)"
        " VALUES (%(town)s, 'own', 'Nostro', 'Ours', '{read}')"
    ),
    "INSERT INTO dialogue_terms (municipality_id, answer_days) VALUES (%(town)s, 5)",
    (
        "INSERT INTO reply_template (municipality_id, slug, title_it, title_en, text_it, text_en)"
        " VALUES (%(town)s, 'own', 'Nostro', 'Ours', 'Grazie.', 'Thanks.')"
    ),
    (
        "INSERT INTO question (municipality_id, report_id, words, from_state, remind_at, due_at)"
        " VALUES (%(town)s, %(report)s, 'Quale lampione?', 'assigned', now(), now())"
    ),
    "INSERT INTO feedback (municipality_id, report_id, rating) VALUES (%(town)s, %(report)s, 5)",
    (
        "WITH read AS (INSERT INTO report_text SELECT %(town)s, public, %(report)s, now(), 'vialonga'"
        " FROM unnest('{true,false}'::boolean[]) AS public RETURNING is_public),"
        " word AS (INSERT INTO search_word SELECT %(town)s, is_public, 'vialonga', 1 FROM read)"
        " INSERT INTO search_gram SELECT %(town)s, is_public, '=vialong', 'vialonga' FROM read"
    ),
    (
        "INSERT INTO report_schedule (municipality_id, name, day, recipients, language, is_active, noted_month)"
        " VALUES (%(town)s, 'Consiglio', 5, '{anna@example.org}', 'it', true, '2026-10-01')"
    ),
    (
        "INSERT INTO hotspot_run (municipality_id, computed_at, starts_at, cell_metres, version)"
        " VALUES (%(town)s, now(), now(), 250, '1')"
    ),
    (
        "INSERT INTO hotspot (municipality_id, is_public, group_slug, cell_column, cell_row, cell_metres, shape, lon,"
        " lat, count, observed, expected, z, q, computed_at) VALUES (%(town)s, true, '', 1, 1, 250,"
        " 'SRID=4326;POLYGON((0 0,1 0,1 1,0 0))', 0, 0, 5, 9, 2.5, 4, 0.01, now())"
    ),
    (
        "WITH made AS (INSERT INTO outside_body (municipality_id, slug, name_it, name_en, channel, address)"
        " VALUES (%(town)s, 'roads', 'Strade', 'Roads', 'mail', 'roads@example.org') RETURNING id)"
        " INSERT INTO handover (municipality_id, id, report_id, body_owner_id, body_id, name_it, name_en, channel,"
        " words, language) SELECT %(town)s, gen_random_uuid(), %(report)s, %(town)s, id, 'Strade', 'Roads', 'mail',"
        " 'buca', 'it' FROM made"
    ),
    (
        "WITH made AS (INSERT INTO webhook (municipality_id, id, address, description, secret)"
        " VALUES (%(town)s, gen_random_uuid(), 'https://gis.example.org', '', '') RETURNING id),"
        " told AS (INSERT INTO hook_delivery (municipality_id, webhook_id, event, about_id, subject_id, entry_id,"
        " happened_at) SELECT %(town)s, id, 'report.received', %(town)s, %(report)s, 1, now() FROM made)"
        " INSERT INTO hook_replay (municipality_id, id, webhook_id, since, last_entry_id)"
        " SELECT %(town)s, gen_random_uuid(), id, now(), 1 FROM made"
    ),
    (
        "WITH made AS (INSERT INTO notice (municipality_id, id, number, kind, title_it, title_en, text_it, text_en,"
        " area, is_everywhere, shape, zones, starts_at, department_id, person_id) SELECT %(town)s, %(id)s,"
        " 'X-' || %(town)s, 'works', 'Lavori', '', 'Lavori', '', '{}', false,"
        " 'SRID=4326;MULTIPOLYGON(((0 0,1 0,1 1,0 0)))', '{}', now(), 1, %(person)s RETURNING id),"
        " told AS (INSERT INTO notice_telling (municipality_id, notice_id, version, what)"
        " SELECT %(town)s, id, 2, 'announced' FROM made)"
        " INSERT INTO notice_report (municipality_id, notice_id, report_id, until)"
        " SELECT %(town)s, id, %(report)s, '2026-12-24' FROM made"
    ),
    (
        "INSERT INTO layer_publication (municipality_id, layer_id, published_by, valid_from, zones)"
        " SELECT municipality_id, id, 'anna', now(), 1 FROM zone_layer WHERE municipality_id = %(town)s LIMIT 1"
    ),
    (
        "WITH made AS (INSERT INTO street (municipality_id, reference, kind, name, label, words, gram_count)"
        " VALUES (%(town)s, 'name:via roma', 'Via', 'Roma', 'Via Roma', 'via roma', 1) RETURNING id),"
        " gram AS (INSERT INTO street_gram SELECT %(town)s, 'rom', id FROM made),"
        " point AS (INSERT INTO street_point SELECT %(town)s, 1, id, 12.9, 43.9 FROM made)"
        " INSERT INTO house_number (municipality_id, street_id, number, suffix, written, lon, lat, cell)"
        " SELECT %(town)s, id, 1, '', '1', 12.9, 43.9, 1 FROM made"
    ),
)


# --- tenants apart


def test_every_tenant_table_is_guarded_also_against_its_owner(admin: Admin) -> None:
    guarded = {
        name: (enabled, forced)
        for name, enabled, forced in admin.execute(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
    }
    for table in tenant_tables(admin):
        assert guarded[table] == (True, True), table
    open_tables = {name for name, (enabled, _) in guarded.items() if not enabled}
    assert open_tables == SHARED | {"job", "registry_version", "alembic_version", "spatial_ref_sys"}


def test_without_a_municipality_there_is_nothing(admin: Admin, towns: Towns) -> None:
    tables = tenant_tables(admin)
    for table in tables:
        admin.execute(f"CREATE TEMP TABLE copy_of_{table} AS SELECT * FROM {table} LIMIT 1")
        admin.execute(f"GRANT SELECT ON copy_of_{table} TO lampione_app")
    listed = {table: ", ".join(columns(admin, table)) for table in tables}
    put_on(admin, "lampione_app")
    for table, column in tables.items():
        inherited = "" if table not in _INHERITED else f" WHERE {column} <> 0"
        assert one(admin, f"SELECT count(*) FROM {table}{inherited}") == 0, table
        insert = sql.SQL(f"INSERT INTO {table} ({listed[table]}) SELECT {listed[table]} FROM copy_of_{table}")
        assert attempt(admin, insert) == "InsufficientPrivilege", table
    assert towns.here != towns.there


_INHERITED = {
    "municipality",
    "outside_body",
    "department",
    "crew",
    "zone_layer",
    "zone",
    "category_group",
    "category",
    "category_override",
    "routing_rule",
    "closing_day",
    "dialogue_terms",
    "reply_template",
    "role",
}


def test_a_municipality_cannot_touch_another(admin: Admin, towns: Towns) -> None:
    tables = tenant_tables(admin)
    listed = {table: ", ".join(columns(admin, table)) for table in tables}
    for table, column in tables.items():
        for town in (towns.here, towns.there):
            assert one(admin, f"SELECT count(*) FROM {table} WHERE {column} = %s", town) > 0, f"no trial row: {table}"
        admin.execute(f"CREATE TEMP TABLE copy_of_{table} AS SELECT * FROM {table} WHERE {column} = {towns.there}")
        admin.execute(f"GRANT SELECT ON copy_of_{table} TO lampione_app")
    put_on(admin, "lampione_app", towns.here)
    for table, column in tables.items():
        theirs = sql.SQL(f"{column} = {towns.there}")
        mine = sql.SQL(f"{column} = {towns.here}")
        assert one(admin, f"SELECT count(*) FROM {table} WHERE {column} = %s", towns.here) > 0, table
        assert one(admin, f"SELECT count(*) FROM {table} WHERE {column} NOT IN (0, %s)", towns.here) == 0, table
        refused: tuple[int | str, ...] = (0, "InsufficientPrivilege")
        update = sql.SQL("UPDATE {} SET {} = {} WHERE {}")
        names = sql.Identifier(table), sql.Identifier(column)
        assert attempt(admin, update.format(*names, names[1], theirs)) in refused, table
        assert attempt(admin, sql.SQL("DELETE FROM {} WHERE {}").format(names[0], theirs)) in refused, table
        insert = sql.SQL(f"INSERT INTO {table} ({listed[table]}) SELECT {listed[table]} FROM copy_of_{table}")
        assert attempt(admin, insert) == "InsufficientPrivilege", table
        give_away = update.format(*names, sql.Literal(towns.there), mine)
        assert attempt(admin, give_away) == "InsufficientPrivilege", table
    take_off(admin)
    for table, column in tables.items():
        rows = one(admin, f"SELECT count(*) FROM {table} WHERE {column} = %s", towns.there)
        assert rows == one(admin, f"SELECT count(*) FROM copy_of_{table}"), table


def test_the_registry_of_the_province_is_read_and_not_written(admin: Admin, towns: Towns) -> None:
    tables = {table: column for table, column in tenant_tables(admin).items() if table in _INHERITED}
    filled = [t for t, column in tables.items() if one(admin, f"SELECT count(*) FROM {t} WHERE {column} = 0")]
    assert {"municipality", "category", "category_group", "zone_layer", "zone", "routing_rule"} <= set(filled)
    counts = {t: one(admin, f"SELECT count(*) FROM {t} WHERE {tables[t]} = 0") for t in filled}
    put_on(admin, "lampione_app", towns.here)
    for table in filled:
        column = tables[table]
        assert one(admin, f"SELECT count(*) FROM {table} WHERE {column} = 0") == counts[table]
        update = sql.SQL(f"UPDATE {table} SET {column} = {column} WHERE {column} = 0")
        assert attempt(admin, update) == 0, table
        assert attempt(admin, sql.SQL(f"DELETE FROM {table} WHERE {column} = 0")) in (0, "InsufficientPrivilege")
        adopt = sql.SQL(f"UPDATE {table} SET {column} = 0 WHERE {column} = {towns.here}")
        assert attempt(admin, adopt) == "InsufficientPrivilege", table


def test_the_province_sees_and_changes_all(admin: Admin, towns: Towns) -> None:
    put_on(admin, "lampione_province")
    seen = {row[0] for row in admin.execute("SELECT municipality_id FROM report")}
    assert seen == {towns.here, towns.there}
    assert attempt(admin, sql.SQL("UPDATE report SET version = version + 1")) == 3


def test_the_municipality_is_forgotten_with_the_transaction(towns: Towns) -> None:
    with psycopg.connect(settings().database_url) as app:
        app.execute(f"SET LOCAL lampione.municipality = '{towns.here}'")
        assert one(app, "SELECT count(*) FROM person") > 0
        app.commit()
        assert one(app, "SELECT count(*) FROM person") == 0


# --- roles


def test_the_application_role_is_nobody_special(admin: Admin) -> None:
    for role, inherits in (("lampione_app", False), ("lampione_province", True), ("lampione_reader", True)):
        rights = admin.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolinherit"
            " FROM pg_roles WHERE rolname = %s",
            (role,),
        ).fetchone()
        assert rights == (False, False, False, False, False, inherits), role
        for catalogue, owner in (
            ("pg_class", "relowner"),
            ("pg_proc", "proowner"),
            ("pg_namespace", "nspowner"),
            ("pg_database", "datdba"),
            ("pg_type", "typowner"),
        ):
            owned = one(admin, f"SELECT count(*) FROM {catalogue} WHERE {owner} = %s::regrole", role)
            assert owned == 0, (role, catalogue)
        assert one(admin, "SELECT has_schema_privilege(%s, 'public', 'CREATE')", role) is False
    assert one(admin, "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'lampione_province'") is False


def test_the_application_becomes_the_province_only_by_name(admin: Admin, towns: Towns) -> None:
    assert one(admin, "SELECT pg_has_role('lampione_app', 'lampione_province', 'MEMBER')") is True
    assert one(admin, "SELECT pg_has_role('lampione_app', 'lampione_province', 'USAGE')") is False
    assert one(admin, "SELECT pg_has_role('lampione_app', 'lampione_owner', 'MEMBER')") is False
    assert one(admin, "SELECT pg_has_role('lampione_reader', 'lampione_app', 'MEMBER')") is False
    with psycopg.connect(settings().database_url) as app:
        assert one(app, "SELECT current_user") == "lampione_app"
        assert one(app, "SELECT count(*) FROM report") == 0
        app.execute("SET LOCAL ROLE lampione_province")
        assert one(app, "SELECT count(*) FROM report") > 0
        app.rollback()
        assert one(app, "SELECT current_user") == "lampione_app"
        with pytest.raises(InsufficientPrivilege):
            app.execute("SET ROLE lampione_owner")
    assert towns


def test_functions_that_run_as_their_owner_are_few_and_pinned(admin: Admin) -> None:
    rows = admin.execute(
        "SELECT proname, proconfig FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        " AND proowner = 'lampione_owner'::regrole"
    ).fetchall()
    assert dict(rows) == {
        "registry_changed": ["search_path=public"],
        "forget_old_looks": ["search_path=public, pg_temp"],
        "reports_of_citizen": ["search_path=public, pg_temp"],
        "reports_with_words": ["search_path=public, pg_temp"],
        "public_reports_with_words": ["search_path=public, pg_temp"],
    }


def test_looks_are_forgotten_by_the_province_in_their_time_and_deleted_by_nobody(admin: Admin) -> None:
    for role, may in (("lampione_reader", False), ("lampione_app", False), ("lampione_province", True)):
        assert one(admin, "SELECT has_function_privilege(%s, 'forget_old_looks()', 'EXECUTE')", role) is may, role
        assert one(admin, "SELECT has_table_privilege(%s, 'contact_look', 'DELETE')", role) is False, role


# --- the reader


def test_the_reader_has_no_right_to_anything_private(admin: Admin) -> None:
    for table in READERS_NOTHING:
        may = one(admin, "SELECT has_any_column_privilege('lampione_reader', %s, 'SELECT')", table)
        assert may is False, table
    for table, secrets in SECRET_COLUMNS.items():
        assert secrets <= set(columns(admin, table))
        for column in secrets:
            may = one(admin, "SELECT has_column_privilege('lampione_reader', %s, %s, 'SELECT')", table, column)
            assert may is False, f"{table}.{column}"


def test_the_reader_writes_nothing(admin: Admin) -> None:
    tables = [row[0] for row in admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    for table in tables:
        for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
            assert one(admin, "SELECT has_table_privilege('lampione_reader', %s, %s)", table, right) is False, table
    assert one(admin, "SELECT has_sequence_privilege('lampione_reader', 'report_number', 'USAGE')") is False


def test_the_reader_sees_public_rows_only(admin: Admin, towns: Towns) -> None:
    put_on(admin, "lampione_reader")
    reports = {row[0] for row in admin.execute("SELECT id FROM report")}
    assert towns.report in reports
    assert towns.hidden not in reports
    assert one(admin, "SELECT count(*) FROM report WHERE NOT is_public") == 0
    assert one(admin, "SELECT count(*) FROM timeline_entry WHERE report_id = %s", towns.hidden) == 0
    assert one(admin, "SELECT count(*) FROM timeline_entry WHERE NOT is_public") == 0
    assert one(admin, "SELECT count(*) FROM timeline_entry") == 4
    assert one(admin, "SELECT count(*) FROM photo") == 2
    take_off(admin)
    admin.execute("UPDATE report SET is_public = false")
    put_on(admin, "lampione_reader")
    for table in ("report", "timeline_entry", "photo"):
        assert one(admin, f"SELECT count(*) FROM {table}") == 0, table
    assert one(admin, "SELECT count(report_id) FROM handover") == 0


# --- history


@pytest.mark.parametrize("role", ["lampione_app", "lampione_province"])
def test_history_is_neither_rewritten_nor_erased(admin: Admin, towns: Towns, role: str) -> None:
    put_on(admin, role, towns.here)
    for statement in ("UPDATE timeline_entry SET note = 'altro'", "DELETE FROM timeline_entry"):
        assert attempt(admin, sql.SQL(statement)) == "InsufficientPrivilege"


def test_not_even_a_superuser_rewrites_history(admin: Admin, towns: Towns) -> None:
    with pytest.raises(RaiseException, match="append-only"):
        admin.execute("UPDATE timeline_entry SET note = 'altro' WHERE report_id = %s", (towns.report,))


def test_history_goes_only_with_its_report(admin: Admin, towns: Towns) -> None:
    put_on(admin, "lampione_app", towns.here)
    admin.execute("DELETE FROM report WHERE id = %s", (towns.report,))
    take_off(admin)
    for table in ("timeline_entry", "reporter", "photo", "delivery", "training_pair"):
        assert one(admin, f"SELECT count(*) FROM {table} WHERE report_id = %s", towns.report) == 0, table


# --- logs


def test_a_database_error_leaves_no_word_of_the_reporter_in_the_log(
    database: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    words = {"description": "Il vicino Mario Rossi butta i rifiuti", "address": "Via Segreta 7"}
    contact = {"email": "anna@example.org", "name": "Anna Bianchi", "phone": "+39 0721 123456"}
    with psycopg.connect(database) as admin:
        admin.execute("ALTER TABLE reporter ADD CONSTRAINT trial CHECK (email <> 'anna@example.org') NOT VALID")
    try:
        with visiting() as visitor:
            answer = visitor.post("/api/v1/reports", json={"lon": 12.9135, "lat": 43.9098, **words, "contact": contact})
    finally:
        with psycopg.connect(database) as admin:
            admin.execute("ALTER TABLE reporter DROP CONSTRAINT trial")
            assert one(admin, "SELECT count(*) FROM report") == 0
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    written = capfd.readouterr().err + caplog.text + answer.text
    assert CheckViolation.__name__ in written
    for secret in (*words.values(), *contact.values(), "Failing row", "INSERT INTO"):
        assert secret not in written, secret


def test_the_web_servers_own_log_tells_no_values_either(
    database: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    app = create_app()
    uvicorn.Config(app).configure_logging()
    with TestClient(app):
        try:
            int("anna@example.org")
        except ValueError:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    written = capfd.readouterr().err
    assert "Exception in ASGI application" in written
    assert "ValueError" in written
    assert "anna@example.org" not in written
