"""Who a citizen is, when two are one, and what the database lets see of them."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import sql

from city.database import provincial
from city.digests import digest
from city.errors import Conflict, NotAuthenticated, NotFound
from city.registry.sign_in import citizens
from city.registry.sign_in.citizen_tables import Citizen
from tests.stories.telling import COAST, counted, reported
from workers.duties import forget_sign_ins

ANNA: Final = "anna@example.org"
PEC: Final = "anna@pec.example.org"
NUMBER: Final = "RSSNNA80A41G479X"
OTHER: Final = "BNCBRN75B02G479Y"


def sign_in(**proved: Any) -> citizens.CitizenSignIn:
    with provincial() as session:
        return citizens.begin(session, device="trial", **proved)


def who(token: str) -> Citizen:
    with provincial() as session:
        return citizens.signed_in(session, token)


def own(database: str, citizen_id: UUID) -> set[UUID]:
    with psycopg.connect(database) as admin:
        return {row[0] for row in admin.execute("SELECT report_id FROM reports_of_citizen(%s)", (citizen_id,))}


def test_the_same_address_is_the_same_citizen(database: str) -> None:
    first, second = sign_in(email=ANNA, language="en"), sign_in(email=ANNA.upper(), language="it", name="Anna")
    assert first.citizen.id == second.citizen.id
    assert (second.citizen.language, second.citizen.name) == ("en", "Anna")
    assert first.token != second.token
    assert who(first.token).email == ANNA
    assert counted(database, "citizen") == 1


def test_a_fiscal_number_is_kept_sealed_and_found_again(database: str) -> None:
    first, second = sign_in(fiscal_number=NUMBER), sign_in(fiscal_number=f"TINIT-{NUMBER.lower()}")
    assert first.citizen.id == second.citizen.id
    assert citizens.fiscal_number(who(first.token)) == NUMBER
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT fiscal_number || fiscal_digest FROM citizen").fetchone()
    assert row is not None
    assert NUMBER.encode() not in bytes(row[0])


def test_a_sign_in_that_proves_both_makes_one_of_two(client: TestClient, database: str) -> None:
    by_address, by_number = sign_in(email=ANNA, name="Anna"), sign_in(fiscal_number=NUMBER)
    report = reported(client, COAST, "lampione spento", email=ANNA)
    both = sign_in(email=ANNA, fiscal_number=NUMBER)
    assert both.citizen.id == by_number.citizen.id
    assert who(by_number.token).id == both.citizen.id, "whoever proved the number stays signed in"
    with pytest.raises(NotAuthenticated):
        who(by_address.token)
    assert (both.citizen.email, both.citizen.name) == (ANNA, "Anna")
    assert counted(database, "citizen") == 1
    assert own(database, both.citizen.id) == {UUID(report["id"])}


def test_what_is_new_is_added_to_who_is_known(database: str) -> None:
    first = sign_in(email=ANNA)
    with_number = sign_in(email=ANNA, fiscal_number=NUMBER)
    assert with_number.citizen.id == first.citizen.id
    with pytest.raises(NotAuthenticated):
        who(first.token)
    later = sign_in(email=ANNA)
    assert sign_in(email=ANNA, fiscal_number=NUMBER).citizen.id == first.citizen.id
    for begun in (with_number, later):
        assert who(begun.token).id == first.citizen.id, "nothing new was learnt of them"
    assert sign_in(fiscal_number=NUMBER).citizen.id == first.citizen.id
    second = sign_in(fiscal_number=OTHER)
    assert sign_in(email=PEC, fiscal_number=OTHER).citizen.id == second.citizen.id
    assert sign_in(email=PEC).citizen.id == second.citizen.id
    assert counted(database, "citizen") == 2


def test_two_people_with_one_mailbox_stay_two(client: TestClient, database: str) -> None:
    anna = sign_in(email=ANNA, fiscal_number=NUMBER)
    report = reported(client, COAST, "lampione spento", email=ANNA)
    bruno = sign_in(email=ANNA, fiscal_number=OTHER)
    again = sign_in(email=ANNA, fiscal_number=OTHER)
    assert bruno.citizen.id == again.citizen.id != anna.citizen.id
    assert bruno.citizen.email is None, "the address is the first one's"
    assert own(database, bruno.citizen.id) == set()
    assert own(database, anna.citizen.id) == {UUID(report["id"])}


def test_who_proves_a_second_address_keeps_the_first_and_has_the_reports_of_both(
    client: TestClient, database: str
) -> None:
    citizen = sign_in(email=ANNA, fiscal_number=NUMBER).citizen
    reports = [reported(client, COAST, "lampione spento", email=address) for address in (ANNA, PEC)]
    former = sign_in(email=PEC)
    joined = sign_in(email=PEC, fiscal_number=NUMBER)
    assert (joined.citizen.id, joined.citizen.email) == (citizen.id, ANNA)
    with pytest.raises(NotAuthenticated):
        who(former.token)
    assert own(database, citizen.id) == {UUID(report["id"]) for report in reports}


def test_what_somebody_else_reported_under_an_address_stays_theirs(client: TestClient, database: str) -> None:
    anna, bruno = sign_in(email=ANNA, fiscal_number=NUMBER).citizen, sign_in(fiscal_number=OTHER).citizen
    free, brunos = (UUID(reported(client, COAST, "lampione spento", email=PEC)["id"]) for _ in range(2))
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE reporter SET citizen_id = %s WHERE report_id = %s", (bruno.id, brunos))
    assert sign_in(email=PEC, fiscal_number=NUMBER).citizen.id == anna.id
    assert (own(database, anna.id), own(database, bruno.id)) == ({free}, {brunos})


def test_an_address_is_changed_and_the_reports_of_the_former_stay(client: TestClient, database: str) -> None:
    citizen = sign_in(email=ANNA).citizen
    reports = {UUID(reported(client, COAST, "lampione", email=address)["id"]) for address in (ANNA, PEC)}
    sign_in(email=PEC)
    with provincial() as session:
        assert citizens.change_email(session, citizen.id, PEC).email == PEC
    assert own(database, citizen.id) == reports
    assert counted(database, "citizen") == 1
    sign_in(email="bruno@example.org", fiscal_number=OTHER)
    with pytest.raises(Conflict), provincial() as session:
        citizens.change_email(session, citizen.id, "bruno@example.org")
    with pytest.raises(NotFound), provincial() as session:
        citizens.change_email(session, uuid4(), ANNA)


def test_many_first_sign_ins_at_once_make_one_citizen(database: str) -> None:
    by_number = [{"email": ANNA, "fiscal_number": NUMBER}] * 8 + [{"fiscal_number": NUMBER}] * 4
    with ThreadPoolExecutor(16) as pool:
        begun = list(pool.map(lambda proved: sign_in(**proved), [*by_number, *[{"email": ANNA}] * 4]))
    known = sign_in(email=ANNA, fiscal_number=NUMBER).citizen
    assert counted(database, "citizen") == 1
    assert {who(one.token).id for one in begun[:12]} == {known.id}, "whoever proved the number is signed in"
    for one in begun[12:]:
        with contextlib.suppress(NotAuthenticated):
            assert who(one.token).id == known.id, "who came by the address alone is, if they came later"


@pytest.mark.parametrize("proved", [{}, {"email": "\u212aate@example.org"}])
def test_without_proof_nobody_comes_in(database: str, proved: dict[str, str]) -> None:
    with pytest.raises(NotAuthenticated):
        sign_in(**proved)
    assert counted(database, "citizen") == 0


def test_a_sign_in_ends_where_its_owner_ends_it_and_not_otherwise(database: str) -> None:
    here, phone, stranger = sign_in(email=ANNA), sign_in(email=ANNA), sign_in(email=PEC)
    with provincial() as session:
        known = [one.id for one in citizens.devices(session, here.citizen.id)]
        theirs = citizens.devices(session, stranger.citizen.id)[0].id
        with pytest.raises(NotFound):
            citizens.revoke(session, here.citizen.id, theirs)
        citizens.revoke_others(session, here.citizen.id, here.token)
    assert len(known) == 2
    assert who(stranger.token)
    for token in (phone.token, here.token + "x", ""):
        with pytest.raises(NotAuthenticated):
            who(token)
    with provincial() as session:
        citizens.sign_out(session, here.token)
    with pytest.raises(NotAuthenticated):
        who(here.token)


def test_a_sign_in_is_over_when_its_time_is(database: str) -> None:
    here, phone = sign_in(email=ANNA), sign_in(email=ANNA)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE citizen_session SET expires_at = now() WHERE token_hash = %s", (digest(phone.token),))
    with pytest.raises(NotAuthenticated):
        who(phone.token)
    with provincial() as session:
        assert len(citizens.devices(session, here.citizen.id)) == 1


def test_who_is_forgotten_leaves_the_reports_and_nothing_else(client: TestClient, database: str) -> None:
    citizen = sign_in(email=ANNA).citizen
    report = reported(client, COAST, "lampione spento")
    with psycopg.connect(database) as admin:
        admin.execute(
            "INSERT INTO reporter (municipality_id, report_id, language, citizen_id)"
            " SELECT municipality_id, id, 'it', %s FROM report",
            (citizen.id,),
        )
    assert own(database, citizen.id) == {UUID(report["id"])}
    with provincial() as session:
        citizens.forget(session, citizen.id)
    assert [counted(database, table) for table in ("citizen", "citizen_session", "report", "reporter")] == [0, 0, 1, 1]
    assert own(database, citizen.id) == set()


def test_who_has_not_been_here_for_two_years_is_forgotten(client: TestClient, database: str) -> None:
    gone, kept, signed_in = (sign_in(email=f"{name}@example.org") for name in ("gone", "kept", "signed.in"))
    report = reported(client, COAST, "lampione spento", email="gone@example.org")
    with psycopg.connect(database) as admin:
        seen = "UPDATE citizen SET seen_at = now() - %s::interval + %s::interval WHERE id = %s"
        over = "UPDATE citizen_session SET expires_at = now() - interval '1 second' WHERE citizen_id = %s"
        for begun, left in ((gone, "-1 minute"), (kept, "1 minute"), (signed_in, "-1 minute")):
            admin.execute(seen, (citizens.KEPT_FOR, left, begun.citizen.id))
        for begun in (gone, kept):
            admin.execute(over, (begun.citizen.id,))
    forget_sign_ins()
    with psycopg.connect(database) as admin:
        known = {row[0] for row in admin.execute("SELECT email FROM citizen")}
    assert known == {"kept@example.org", "signed.in@example.org"}
    assert counted(database, "report") == 1
    assert own(database, sign_in(email="gone@example.org").citizen.id) == {UUID(report["id"])}, "who comes again"


def test_only_the_province_sees_citizens_and_the_reader_not_even_whose_a_report_is(database: str) -> None:
    sign_in(email=ANNA)
    with psycopg.connect(database) as admin:
        for table in ("citizen", "citizen_session", "citizen_code"):
            query = sql.SQL("SELECT has_any_column_privilege(%s, {}, 'SELECT')").format(sql.Literal(table))
            rights = [admin.execute(query, (role,)).fetchone() for role in ("lampione_app", "lampione_reader")]
            assert rights == [(False,), (False,)], table
        function = "reports_of_citizen(uuid)"
        rights = [
            admin.execute("SELECT has_function_privilege(%s, %s, 'EXECUTE')", (role, function)).fetchone()
            for role in ("lampione_reader", "lampione_app", "lampione_province")
        ]
        assert rights == [(False,), (True,), (True,)]
