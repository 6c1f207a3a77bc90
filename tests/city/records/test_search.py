"""The search by words: endings, accents, slips; whose words are whose; and the chore that keeps up, killed or not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from city.database import provincial, public, reading, writing
from city.errors import InvalidInput
from city.records.search import index as search_index
from city.records.search import search
from city.records.search.search import Listing, Search, understood
from city.records.search.words import SHORTEST_MISSPELT, stemmed
from city.registry import view
from tests.trials import visiting
from workers.duties import index_words

PESARO = {"lon": 12.9135, "lat": 43.9098}
PADOVA = {"lon": 11.8768, "lat": 45.4064}

WORDS = (  # noqa: SIM905  (read as a sentence)
    "lampione buca marciapiede tombino semaforo panchina cassonetto ringhiera voragine pozzanghera cartello fontana"
    " aiuola siepe ciclabile rotatoria sottopasso cavalcavia guardrail segnaletica"
).split()


def reported(client: TestClient, words: str, place: dict[str, float] = PESARO, **more: Any) -> UUID:
    answer = client.post("/api/v1/reports", json={**place, "description": words, "category": "dead-animal", **more})
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


def town(slug: str = "pesaro") -> int:
    return view.held().slugs[slug].id


def listing(municipality_id: int) -> Listing:
    return Listing(
        "report.id, report.created_at",
        "report",
        "report.municipality_id = %(municipality_id)s",
        {"municipality_id": municipality_id},
    )


def asked(typed: str, slug: str = "pesaro", *, limit: int = 50) -> tuple[Search, search.Found]:
    with reading(town(slug)) as session:
        wanted = understood(session.raw, town(slug), typed)
        return wanted, wanted.found(session.raw, [listing(town(slug))], limit)


def ids(typed: str, slug: str = "pesaro") -> list[UUID]:
    return [row["id"] for row in asked(typed, slug)[1].rows]


def told(typed: str) -> dict[str, Any]:
    wanted, found = asked(typed)
    return wanted.as_json(found)


def public_ids(typed: str) -> list[UUID]:
    with public() as session:
        wanted = understood(session.raw, town(), typed, public=True)
        return [row["id"] for row in wanted.found(session.raw, [listing(town())], 50).rows]


@pytest.fixture(params=["fresh", "indexed"])
def settled(request: pytest.FixtureRequest) -> Any:
    """Both before the chore has read the reports and after: what is found must be the same."""
    return index_words if request.param == "indexed" else lambda: None


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("Buca profonda davanti alla scuola", "buche"),
        ("Due buche profonde", "buca"),
        ("lampioni spenti in piazza", "lampione spento"),
        ("Perché nessuno ripara il tombino?", "perche' tombini"),
        ("perche' nessuno ripara", "perché"),
        ("Manca l’illuminazione nel viale della Città", "illuminazione citta"),
        ("Perdita dell'acqua al civico 12/A", "acqua 12"),
        ("RIFIUTI ABBANDONATI", "rifiuto abbandonato"),
        ("Il marciapiede è dissestato", "marciap"),
        ("The street lamps are broken", "lamp broken"),
        ("Voragine sull'asfalto", "voraggine"),
        ("Marciapiede dissestato", "marcapiede disestato"),
        ("Спущенный фонарь", "фонарь"),
    ],
)
def test_endings_accents_apostrophes_and_slips_are_forgiven(
    client: TestClient, settled: Any, said: str, typed: str
) -> None:
    wanted = reported(client, said)
    other = reported(client, "Erba alta nel giardino pubblico")
    settled()
    assert ids(typed) == [wanted]
    assert ids("giardini erba") == [other]


def test_all_words_must_be_there_else_as_many_as_can_be(client: TestClient, settled: Any) -> None:
    both = reported(client, "lampione spento vicino alla fontana")
    one = reported(client, "lampione piegato vicino alla siepe")
    settled()
    assert ids("lampione fontana") == [both]
    assert told("lampione fontana") == {"corrected": [], "left_out": [], "all_words": True}
    assert ids("lampione spento siepe") == [one, both]
    assert told("lampione spento siepe") == {"corrected": [], "left_out": [], "all_words": False}
    assert ids("lampione qwertyuiop") == [one, both]
    assert told("lampione qwertyuiop") == {"corrected": [], "left_out": ["qwertyuiop"], "all_words": False}
    assert ids("lampione 4711") == [one, both]
    assert told("lampione 4711") == {"corrected": [], "left_out": ["4711"], "all_words": False}
    assert ids("qwertyuiop") == ids("qwertyuiop zxcvbn") == []
    assert told("qwertyuiop") == {"corrected": [], "left_out": [], "all_words": True}
    assert told("lampoine fontana")["corrected"] == [{"typed": "lampoine", "meant": ["lampione"]}]


def test_quoted_words_stand_together_and_numbers_are_found(client: TestClient, settled: Any) -> None:
    together = reported(client, "albero caduto in via Roma, angolo piazza Trento")
    apart = reported(client, "in via Trento non c'è luce, dalle parti di Roma")
    settled()
    assert ids("via Roma Trento") == [apart, together]
    assert ids('"via roma" trento') == [together]
    with reading(town()) as session:
        row = session.raw.execute("SELECT number FROM report WHERE id = %s", (apart,)).fetchone()
    assert row is not None
    assert ids(row[0]) == ids(row[0].lower()) == ids(row[0].split("-")[-1]) == [apart]


def test_what_has_no_word_in_it_is_refused(client: TestClient) -> None:
    for typed in ("il la di", "?!", "' \" %", "e"):
        with reading(town()) as session, pytest.raises(InvalidInput):
            understood(session.raw, town(), typed)
    reported(client, "lampione")
    assert ids("'; DROP TABLE report; -- lampione | ! & <->") == ids("lampione")


def test_no_other_tenant_is_found_or_proposed(client: TestClient, settled: Any) -> None:
    here = reported(client, "semaforo guasto")
    there = reported(client, "semaforo rotto e panchina divelta", PADOVA)
    settled()
    assert ids("semaforo") == [here]
    assert ids("semaforo", "padova") == [there]
    assert ids("panchina") == []
    assert told("panchian semaforo")["corrected"] == []


def test_the_public_finds_public_words_only(client: TestClient) -> None:
    shown = reported(client, "Il signor Rossini parcheggia sul marciapiede")
    hidden = reported(client, "Il vicino Bianchini urla la notte", category="noise")
    with writing(town()) as session:
        session.raw.execute("UPDATE report SET public_description = 'Parcheggio abusivo' WHERE id = %s", (shown,))
        session.raw.execute("UPDATE report SET public_description = 'Schiamazzi notturni' WHERE id = %s", (hidden,))
        for note, is_public, actor in (
            ("Sopralluogo eseguito", True, "staff"),
            ("Parlato con Verdini", False, "staff"),
            ("Grazie dalla signora Nerini", True, "citizen"),
        ):
            session.raw.execute(
                "INSERT INTO timeline_entry (municipality_id, report_id, what, actor, is_public, note)"
                " VALUES (%s, %s, 'update', %s, %s, %s)",
                (town(), shown, actor, is_public, note),
            )
    index_words()
    for typed in ("parcheggio", "abusivi", "sopralluogo", "animale morto", "dead animals", "parcheggoi"):
        assert public_ids(typed) == [shown], typed
    for typed in ("rossini", "marciapiede", "bianchini", "schiamazzi", "verdini", "nerini", "rossinj", "verdinj"):
        assert public_ids(typed) == [], typed
    assert ids("rossini") == ids("verdini") == ids("nerini") == [shown]
    assert ids("schiamazzi") == ids("bianchini") == [hidden]
    with public() as session:
        known = {row[0] for row in session.raw.execute("SELECT word FROM search_word")}
    assert "abusivo" in known
    assert not known & {"rossini", "marciapiede", "bianchini", "schiamazzi", "verdini", "nerini"}


def test_a_word_taken_back_finds_nothing_at_once_and_is_forgotten_soon(client: TestClient) -> None:
    report = reported(client, "parla Rossini")
    with writing(town()) as session:
        session.raw.execute("UPDATE report SET public_description = 'Auto di Rossini' WHERE id = %s", (report,))
    index_words()
    assert public_ids("rossini") == [report]
    with writing(town()) as session:
        session.raw.execute(
            "UPDATE report SET public_description = 'Auto ferma', description = 'parla' WHERE id = %s", (report,)
        )
    assert public_ids("rossini") == ids("rossini") == []
    with public() as session:
        wanted = understood(session.raw, town(), "rosini", public=True)
        assert wanted.as_json(wanted.found(session.raw, [listing(town())], 50))["corrected"] == []
    index_words()
    assert public_ids("ferma") == ids("ferma") == [report]
    with provincial() as session:
        for table in ("search_word", "search_gram"):
            assert session.raw.execute(f"SELECT 1 FROM {table} WHERE word = 'rossini'").fetchone() is None
    with writing(town()) as session:
        session.raw.execute("DELETE FROM report WHERE id = %s", (report,))
    assert ids("ferma") == []
    index_words()
    with provincial() as session:
        for table in ("report_text", "search_word", "search_gram", "search_due"):
            assert session.raw.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_a_guess_is_said_in_words_that_its_reader_may_read(client: TestClient, settled: Any) -> None:
    mine, theirs = reported(client, "parla Rossino"), reported(client, "parla Rossini")
    settled()
    assert ids("rossinx") == [theirs, mine]
    assert told("rossinx")["corrected"] == [{"typed": "rossinx", "meant": ["rossini", "rossino"]}]
    with reading(town()) as session:
        own = replace(listing(town()), where="report.id = %(id)s", values={"id": mine})
        wanted = understood(session.raw, town(), "rossinx")
        found = wanted.found(session.raw, [own], 50)
    assert [row["id"] for row in found.rows] == [mine]
    assert wanted.as_json(found)["corrected"] == [{"typed": "rossinx", "meant": ["rossino"]}]


def test_who_spells_well_finds_who_does_not_behind_the_others(client: TestClient, settled: Any) -> None:
    wrong = reported(client, "lampoine spento in largo Mameli")
    right = reported(client, "lampione rotto")
    newest = reported(client, "campione di atletica")
    settled()
    assert ids("lampione") == [right, wrong], "and no champion"
    assert told("lampione")["corrected"] == [{"typed": "lampione", "meant": ["lampoine"]}]
    assert ids("lampione spento") == [wrong]
    assert ids("campione") == [newest]
    assert [row["id"] for row in asked("lampione", limit=1)[1].rows] == [right], "a full page is not filled up"


@pytest.mark.usefixtures("own_registry")
def test_reports_are_found_by_the_new_name_of_their_category() -> None:
    with visiting() as client:
        here, there = reported(client, "aiuto"), reported(client, "aiuto", PADOVA)
    index_words()
    assert ids("animale morto") == [here]
    with provincial() as session:
        session.raw.execute("UPDATE category SET name_it = 'Carogna' WHERE slug = 'dead-animal'")
    index_words()
    assert (ids("carogna"), ids("carogna", "padova"), ids("morto")) == ([here], [there], [])
    name = "INSERT INTO category_override (municipality_id, slug, name_it) VALUES (%s, 'dead-animal', 'Bestia defunta')"
    with provincial() as session:
        session.raw.execute(name, (town(),))
    index_words()
    assert (ids("bestia"), ids("bestia", "padova"), ids("carogna", "padova")) == ([here], [], [there])
    with provincial() as session:
        session.raw.execute("DELETE FROM category_override WHERE municipality_id = %s", (town(),))
    index_words()
    assert (ids("bestia"), ids("carogna")) == ([], [here])


def kept(database: str) -> dict[str, list[Any]]:
    """All that the chore has written."""
    with psycopg.connect(database) as admin:
        return {
            table: admin.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4").fetchall()
            for table in ("report_text", "search_word", "search_gram")
        }


def test_killed_halfway_it_was_never_begun_and_twice_is_once(
    client: TestClient, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = reported(client, "lampione spento")
    index_words()
    before = kept(database)
    second = reported(client, "lampione rotto e tombino")

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(search_index, "_count", die)
        index_words()
    assert kept(database) == before
    assert ids("tombino") == [second]
    index_words()
    after = kept(database)
    with writing(town()) as session:
        session.raw.execute(
            "INSERT INTO search_due (municipality_id, report_id)"
            " SELECT municipality_id, id FROM report, generate_series(1, 3)"
        )
    index_words()
    assert kept(database) == after
    assert ids("lampione") == [second, wanted]


def test_a_change_that_commits_late_is_not_missed(client: TestClient, database: str) -> None:
    early = reported(client, "lampione")
    with psycopg.connect(database) as late:
        late.execute("UPDATE report SET description = 'panchina' WHERE id = %s", (early,))
        reported(client, "tombino")
        index_words()
        assert ids("panchina") == []
        late.commit()
    assert ids("panchina") == [early]
    index_words()
    assert ids("panchina") == [early]
    assert ids("lampione") == []


def test_common_words_are_found_in_order_page_by_page(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = [reported(client, f"lampione {'spento' if place % 3 else 'rotto'}") for place in range(12)][::-1]
    index_words()
    whole = {
        "lampione": reports,
        "lampione rotto": [one for place, one in enumerate(reports[::-1]) if place % 3 == 0][::-1],
    }
    for common, few, walked in (
        (0, 0, 3),
        (0, 0, 100),
        (100, 2, 3),
        (100, 3, 3),
        (0, 2, 3),
        (100, 0, 3),
        (100, 100, 3),
    ):
        monkeypatch.setattr(search, "COMMON", common)
        monkeypatch.setattr(search, "FEW", few)
        monkeypatch.setattr(search, "WALKED", walked)
        for typed, expected in whole.items():
            seen: list[UUID] = []
            last: dict[str, Any] | None = None
            for _ in range(10):
                with reading(town()) as session:
                    here = listing(town())
                    if last is not None:
                        here = Listing(
                            here.columns,
                            here.source,
                            here.where + " AND (report.created_at, report.id) < (%(after_at)s, %(after_id)s)",
                            {**here.values, "after_at": last["created_at"], "after_id": last["id"]},
                            before=last["created_at"],
                            is_first_page=False,
                        )
                    found = understood(session.raw, town(), typed).found(session.raw, [here], 2)
                seen += [row["id"] for row in found.rows]
                last = found.last
                if last is None:
                    break
            assert seen == expected, (typed, common, few, walked)


def test_the_index_of_words_serves_the_two_functions_and_nobody_else(client: TestClient, database: str) -> None:
    reported(client, "lampione")
    index_words()
    query = "EXPLAIN SELECT FROM report_text WHERE words @@ %s::tsquery"
    plans = {}
    with psycopg.connect(database) as admin:
        for role in ("lampione_app", "lampione_reader", "lampione_owner"):
            admin.execute(f"SET LOCAL ROLE {role}; SET LOCAL enable_seqscan = off")
            plans[role] = str(admin.execute(query, (f"'{town()}:lampione'",)).fetchall())
    assert {role: "report_text_words_index" in plan for role, plan in plans.items()} == {
        "lampione_app": False,
        "lampione_reader": False,
        "lampione_owner": True,
    }


@pytest.fixture
def many(client: TestClient) -> Iterator[dict[UUID, list[str]]]:
    """Reports of two words each."""
    said = [[first, second] for first, second in zip(WORDS, WORDS[1:] + WORDS[:1], strict=True)]
    found = {reported(client, " ".join(words)): words for words in said}
    reported(client, " ".join(WORDS), PADOVA)
    index_words()
    return found


def slipped(word: str, slip: str, place: int, letter: str) -> str:
    place %= len(word)
    if slip == "drop":
        return word[:place] + word[place + 1 :]
    if slip == "add":
        return word[:place] + letter + word[place:]
    if slip == "swap" and place + 1 < len(word):
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + letter + word[place + 1 :]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.integers(0, len(WORDS) - 1),
    which=st.integers(0, 1),
    slip=st.sampled_from(["drop", "add", "swap", "change"]),
    place=st.integers(0, 20),
    letter=st.sampled_from("abcdefghilmnopqrstuvz"),
)
def test_every_report_is_found_by_each_of_its_words_with_a_slip(  # noqa: PLR0917  (drawn by hypothesis, by name)
    many: dict[UUID, list[str]], number: int, which: int, slip: str, place: int, letter: str
) -> None:
    report, words = list(many.items())[number]
    typed = slipped(words[which], slip, place, letter)
    assume(len(typed) >= SHORTEST_MISSPELT)
    assert OSA.distance(words[which], typed) <= 1
    with reading(town()) as session:
        assume(not stemmed(session.raw, [typed])[0].is_small)
    found = ids(f"{typed} ")
    assert report in found, typed
    assert set(found) <= set(many), "another tenant's"
