"""The tile pyramid: whatever happens to reports, in whatever batches they are folded, the map is never behind."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import mapbox_vector_tile
import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo import pyramid
from geo.place import Place, morton
from geo.tiles import OPEN, SINGLE_DEEPEST_ZOOM, Choice, Tile, heat_tile, periods, reports_tile

Database = psycopg.Connection[Any]
GROUPS: Final = ("roads", "lighting", "green")
HERE: Final = Place(12.9135, 43.9098)
ZOOMS: Final = (0, 9, 13, 14, 16)
MONTHS: Final = (202501, 202506, 202512, 202603)
STATES: Final = ("received", "assigned", "in_progress", "waiting", "resolved", "closed", "rejected", "withdrawn")
STAGE: Final = dict(zip(STATES, (0, 0, 1, 1, 2, 2, 3, 3), strict=True))
SEEN: Final = ("public", "public", "public", "coarse", "hidden")

places = st.builds(
    Place,
    st.one_of(st.sampled_from([12.9135, 12.91350001, 12.95]), st.floats(12.5, 13.2)),
    st.one_of(st.sampled_from([43.9098, 43.8]), st.floats(43.6, 44.0)),
)
which = st.integers(0, 12)
acts = st.one_of(
    st.tuples(st.just("create"), places, st.sampled_from(GROUPS), st.sampled_from(SEEN), st.sampled_from(MONTHS)),
    st.tuples(st.just("move"), which, places),
    st.tuples(st.just("recategorise"), which, st.sampled_from(GROUPS)),
    st.tuples(st.just("enter"), which, st.sampled_from(STATES)),
    st.tuples(st.just("reroute"), which, st.integers(0, 5)),
    st.tuples(st.just("see"), which, st.sampled_from(SEEN)),
    st.tuples(st.just("merge"), which, which),
    st.tuples(st.just("split"), which),
    st.tuples(st.just("touch"), which),
    st.tuples(st.just("delete"), which),
    st.tuples(st.just("fold"), st.integers(1, 4)),
)


class History:
    """Reports as rows, and what must be visible of them, told apart from the triggers that count them."""

    def __init__(self, connection: Database) -> None:
        self.connection = connection
        self.reports: list[dict[str, Any]] = []
        rows = connection.execute(
            "SELECT municipality.id, array_agg(department.id ORDER BY department.id) FROM municipality"
            " JOIN department ON department.municipality_id = municipality.id WHERE municipality.id > 0"
            " GROUP BY 1 ORDER BY 1 LIMIT 2"
        ).fetchall()
        self.departments: dict[int, list[int]] = dict(rows)
        category = connection.execute("SELECT min(id) FROM category").fetchone()
        assert category is not None
        self.category = category[0]

    def act(self, act: tuple[Any, ...]) -> None:
        verb, *rest = act
        if verb == "create":
            self.create(*rest)
        elif verb == "fold":
            self.fold(rest[0])
        elif self.reports:
            report = self.reports[rest[0] % len(self.reports)]
            getattr(self, verb)(report, *rest[1:])

    def create(self, place: Place, group: str, seen: str = "public", month: int = 202603) -> None:
        x, y = place.cell()
        municipality = list(self.departments)[len(self.reports) % len(self.departments)]
        report = {
            "id": uuid4(),
            "municipality": municipality,
            "department": self.departments[municipality][0],
            "place": place,
            "group": group,
            "seen": seen,
            "state": "assigned",
            "month": month,
        }
        self.connection.execute(
            "INSERT INTO report (municipality_id, id, number, state, category_id, group_slug, decided_by,"
            " department_id, routing, lon, lat, cell, cell_x, cell_y, description, language, source, is_public,"
            " is_coarse, is_open, created_at, month, updated_at, deadline_at) VALUES (%s, %s, %s, 'assigned', %s, %s,"
            " 'citizen', %s, '{}', %s, %s, %s, %s, %s, 'prova', 'it', 'web', %s, %s, true, now(), %s, now(), now())",
            (
                *(municipality, report["id"], str(report["id"]), self.category, group, report["department"]),
                *(*place, morton(x, y), x, y, seen == "public", seen == "coarse", month),
            ),
        )
        self.reports.append(report)

    def _set(self, report: dict[str, Any], clause: str, *values: Any) -> None:
        self.connection.execute(
            f"UPDATE report SET {clause} WHERE id = %s",  # type: ignore[call-overload]
            (*values, report["id"]),
        )

    def move(self, report: dict[str, Any], place: Place) -> None:
        x, y = place.cell()
        report["place"] = place
        self._set(report, "lon = %s, lat = %s, cell = %s, cell_x = %s, cell_y = %s", *place, morton(x, y), x, y)

    def recategorise(self, report: dict[str, Any], group: str) -> None:
        report["group"] = group
        # Another category of another group, as `handling` does it.
        row = self.connection.execute("SELECT min(id) FROM category WHERE group_slug = %s", (group,)).fetchone()
        self._set(report, "group_slug = %s, category_id = %s", group, row[0] if row else None)

    def enter(self, report: dict[str, Any], state: str) -> None:
        if report["state"] != "duplicate":
            report["state"] = state
            self._set(report, "is_open = %s, state = %s", STAGE[state] < 2, state)

    def reroute(self, report: dict[str, Any], which: int) -> None:
        departments = self.departments[report["municipality"]]
        report["department"] = departments[which % len(departments)]
        self._set(report, "department_id = %s", report["department"])

    def see(self, report: dict[str, Any], seen: str) -> None:
        report["seen"] = seen
        self._set(report, "is_public = %s, is_coarse = %s", seen == "public", seen == "coarse")

    def merge(self, report: dict[str, Any], which: int) -> None:
        master = self.reports[which % len(self.reports)]
        if master is not report and master["municipality"] == report["municipality"]:
            report["state"] = "duplicate"
            self._set(report, "is_open = false, state = 'duplicate', master_id = %s", master["id"])

    def split(self, report: dict[str, Any]) -> None:
        if report["state"] == "duplicate":
            report["state"] = "received"
            self._set(report, "is_open = true, state = 'received', master_id = NULL")

    def touch(self, report: dict[str, Any]) -> None:
        self._set(report, "version = version + 1")

    def delete(self, report: dict[str, Any]) -> None:
        self.connection.execute(
            "UPDATE report SET state = 'received', is_open = true, master_id = NULL WHERE master_id = %s",
            (report["id"],),
        )
        for other in self.reports:
            row = self.connection.execute("SELECT state FROM report WHERE id = %s", (other["id"],)).fetchone()
            other["state"] = row[0] if row else None
        self.reports.remove(report)
        self.connection.execute("DELETE FROM report WHERE id = %s", (report["id"],))

    def fold(self, most: int) -> None:
        """Fold a smaller batch than usual."""
        pyramid.fold(self.connection, most=most)

    def cells(self) -> set[str]:
        rows = self.connection.execute("SELECT tile_cell::text FROM tile_cell").fetchall()
        assert len(set(rows)) == len(rows)
        return {row[0] for row in rows}

    def tiles(self, which: Iterable[int]) -> dict[Any, Any]:
        """Every layer at every zoom with some filters, decoded."""
        found: dict[Any, Any] = {}
        for zoom in ZOOMS:
            for choice in (self.choices()[one] for one in which):
                found["reports", zoom, choice] = features(reports_tile(self.connection, Tile.at(HERE, zoom), choice))
                found["heat", zoom, choice] = features(heat_tile(self.connection, Tile.at(HERE, zoom), choice), "heat")
        return found

    def choices(self) -> list[Choice]:
        one, *_ = self.departments
        return [
            Choice(),
            Choice(municipality_id=one),
            Choice(groups=("roads",)),
            Choice(municipality_id=one, department_id=self.departments[one][1]),
            Choice(stages=frozenset({1})),
            Choice(stages=frozenset({0, 2})),
            Choice(first_month=202506, last_month=202603),
            Choice(first_month=202501, last_month=202512, groups=("roads", "green"), stages=frozenset({0, 3})),
            Choice(municipality_id=one, first_month=202601),
        ]

    def expected(
        self, layer: str, zoom: int, choice: Choice, among: frozenset[int] = frozenset(range(4))
    ) -> Counter[str]:
        """Counts per group on the tile. Coarse reports count for cells, in the middle of theirs, where all is shown."""
        wanted = HERE.cell(zoom)
        first, last = choice.months
        stages = (choice.stages or frozenset(range(4))) & among
        if layer == "reports":
            stages &= OPEN
        found: Counter[str] = Counter()
        for report in self.reports:
            stage = STAGE.get(report["state"], 3)
            if (
                report["seen"] != "hidden"
                and choice.municipality_id in {None, report["municipality"]}
                and choice.department_id in {None, report["department"]}
                and (not choice.groups or report["group"] in choice.groups)
                and stage in stages
                and first <= report["month"] <= last
            ):
                x, y = report["place"].cell()
                if report["seen"] == "coarse":
                    if self.leaves_out_coarse(layer, zoom, choice):
                        continue
                    x, y = (part >> 9 << 9 | 256 for part in (x, y))
                if (x >> 24 - zoom, y >> 24 - zoom) == wanted:
                    found["coarse" if report["seen"] == "coarse" and zoom >= 14 else report["group"]] += 1
        return found

    @staticmethod
    def leaves_out_coarse(layer: str, zoom: int, choice: Choice) -> bool:
        """Where reports are counted one by one, coarse ones, which the public reader cannot see, are not counted."""
        if zoom < 14:
            level = zoom + (3 if layer == "reports" else 4)
            return bool(periods(choice, max(level, 4 if choice.municipality_id is None else 12))[1])
        return layer == "heat" or not choice.is_always or bool(choice.stages)


def features(tile: bytes, layer: str = "reports") -> list[Any]:
    """The features of a tile in an order of their own."""
    if not tile:
        return []
    decoded = mapbox_vector_tile.decode(tile)
    found = [(feature["geometry"]["coordinates"], feature["properties"]) for feature in decoded[layer]["features"]]
    return sorted(found, key=repr)


def counts(found: list[Any]) -> Counter[str]:
    """Counts per group of a tile's features; a cluster's groups add up to its count."""
    total: Counter[str] = Counter()
    for _, properties in found:
        groups = {group: properties[group] for group in GROUPS if group in properties}
        if "number" in properties:
            groups = {properties["group"]: 1}
        elif "group" not in properties:
            total["coarse"] += properties["count"]
            continue
        assert sum(groups.values()) == properties["count"]
        assert groups[properties["group"]] == max(groups.values())
        total.update(groups)
    return total


@pytest.fixture
def connection(database: str) -> Iterator[Database]:
    with psycopg.connect(database) as connection:
        yield connection
        connection.rollback()


@settings(max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(acts, min_size=3, max_size=30), st.sets(st.integers(1, 8), max_size=2))
def test_any_history_folded_at_any_time_equals_a_rebuild(
    connection: Database, story: list[tuple[Any, ...]], filters: set[int]
) -> None:
    with connection.transaction(force_rollback=True):
        history = History(connection)
        for act in story:
            history.act(act)
        before = history.tiles([0, *filters])
        for (layer, zoom, choice), found in before.items():
            wanted = history.expected(layer, zoom, choice)
            if layer == "heat":
                assert sum(properties["count"] for _, properties in found) == wanted.total(), (zoom, choice)
                still_open = history.expected("heat", zoom, choice, OPEN)
                assert sum(properties["open"] for _, properties in found) == still_open.total(), (zoom, choice)
            else:
                assert counts(found) == wanted, (zoom, choice)
        while pyramid.fold(connection):
            pass
        assert history.tiles([0, *filters]) == before
        folded = history.cells()
        pyramid.rebuild(connection)
        assert history.cells() == folded
        assert history.tiles([0, *filters]) == before


def test_cells_hold_counts_and_sums_of_every_level(connection: Database) -> None:
    history = History(connection)
    history.departments = dict(list(history.departments.items())[:1])
    for group in ("roads", "roads", "green"):
        history.create(HERE, group)
    pyramid.fold(connection)
    x, y = HERE.cell()
    (own,) = history.departments
    rows = connection.execute(
        "SELECT level, month, scope, cell, municipality_id, open, total, sum_x, sum_y, top, groups FROM tile_cell"
    ).fetchall()
    wanted = []
    for level in range(pyramid.COARSEST_FOLDED, pyramid.FINEST_FOLDED + 1):
        months = [0, 202600, 202603][: 1 + (level <= pyramid.FINEST_YEARLY) + (level <= pyramid.FINEST_MONTHLY)]
        maps = [(0, 0)] if level <= pyramid.FINEST_SHARED else [(0, own)]
        maps += [(own, own)] if level == pyramid.FINEST_SHARED else []
        for month in months:
            by_group = ("roads", {"roads": 2, "green": 1}) if month == 0 else (None, None)
            wanted += [
                (level, month, scope, morton(*HERE.cell(level)), whose, 3, 3, 3 * x, 3 * y, *by_group)
                for scope, whose in maps
            ]
    assert sorted(rows, key=repr) == sorted(wanted, key=repr)


@given(place=places, zoom=st.integers(0, 20))
@settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_heat_lies_in_the_middle_of_its_cell(connection: Database, place: Place, zoom: int) -> None:
    with connection.transaction(force_rollback=True):
        history = History(connection)
        history.create(place, "roads")
        ((where, properties),) = features(heat_tile(connection, Tile.at(place, zoom)), "heat")
        column, row = (part % 16 for part in place.cell(zoom + 4))
        assert tuple(where) == (column * 256 + 128, 4096 - (row * 256 + 128))
        assert properties == {"count": 1, "open": 1}


def test_two_folders_take_different_deltas(database: str) -> None:
    with psycopg.connect(database) as writer, psycopg.connect(database) as other:
        history = History(writer)
        for _ in range(6):
            history.create(HERE, "roads")
        writer.commit()
        history.fold(4)
        free = other.execute("SELECT count(*) FROM (SELECT FROM tile_delta FOR UPDATE SKIP LOCKED) AS free").fetchone()
        assert free == (2,)
        other.rollback()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(pyramid.fold, other)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
            writer.commit()
            assert waiting.result(10) == 2
        other.commit()
        assert counts(features(reports_tile(writer, Tile.at(HERE, 0)))) == {"roads": 6}


def test_folders_at_once_and_killed_lose_nothing(database: str) -> None:
    with psycopg.connect(database) as writer:
        history = History(writer)
        for number in range(120):
            history.create(Place(12.5 + number / 200, 43.7), GROUPS[number % 3])
        writer.commit()
    command = [sys.executable, "-c", FOLDER, database]
    folders = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    for killed in folders[:2]:
        assert killed.stdout is not None
        killed.stdout.readline()
        killed.kill()
    for folder in folders:
        folder.communicate(timeout=60)
    with psycopg.connect(database) as connection:
        while pyramid.fold(connection):
            pass
        history.connection = connection
        folded = history.cells()
        pyramid.rebuild(connection)
        assert history.cells() == folded
        assert counts(features(reports_tile(connection, Tile.at(HERE, 0)))).total() == 120
        connection.rollback()


FOLDER: Final = """
import sys, psycopg
from geo import pyramid
with psycopg.connect(sys.argv[1]) as connection:
    while pyramid.fold(connection, most=7):
        print("folded", flush=True)
        connection.commit()
"""


# --- through the front door


Report = Callable[..., dict[str, Any]]


@pytest.fixture
def report(client: TestClient) -> Report:
    def send(**more: Any) -> dict[str, Any]:
        body = {"lon": HERE.lon, "lat": HERE.lat, "description": "Lampione spento", "category": "lamp-out"} | more
        answer = client.post("/api/v1/reports", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return send


def shown(client: TestClient, zoom: int, **parameters: Any) -> list[Any]:
    tile = Tile.at(HERE, zoom)
    answer = client.get(f"/tiles/reports/{tile.zoom}/{tile.x}/{tile.y}.mvt", params=parameters)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    return features(answer.content)


def test_a_new_report_is_on_the_very_next_tile(client: TestClient, report: Report) -> None:
    for count in (1, 2, 3):
        number = report()["number"]
        for zoom in range(SINGLE_DEEPEST_ZOOM + 1):
            found = shown(client, zoom)
            assert sum(properties["count"] for _, properties in found) == count
            if zoom >= 14:
                assert number in {properties["number"] for _, properties in found}


def test_a_hidden_report_is_on_no_tile(client: TestClient, report: Report, database: str) -> None:
    assert report(category="unsafe-place")["is_public"] is False
    for zoom in range(SINGLE_DEEPEST_ZOOM + 1):
        assert shown(client, zoom) == []
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM tile_delta").fetchone() == (0,)
        pyramid.rebuild(admin)
        assert admin.execute("SELECT count(*) FROM tile_cell").fetchone() == (0,)


def test_a_single_report_lies_where_it_is_and_says_what_it_is(client: TestClient, report: Report) -> None:
    sent = report()
    ((x, y), properties), *others = shown(client, 16)
    assert others == []
    column, row = HERE.cell()
    left, top = (part << 8 for part in HERE.cell(16))
    assert (x, 4096 - y) == pytest.approx(((column - left) * 16, (row - top) * 16), abs=1)
    assert properties == {
        "count": 1,
        "number": sent["number"],
        "category": "lamp-out",
        "group": "lighting",
        "state": "assigned",
        "since": datetime.now(UTC).date().isoformat(),
    }


def test_tiles_of_one_municipality(client: TestClient, report: Report) -> None:
    report()
    report(lon=11.8768, lat=45.4064)
    assert sum(p["count"] for _, p in shown(client, 0)) == 2
    assert sum(p["count"] for _, p in shown(client, 0, municipality="pesaro")) == 1
    assert sum(p["count"] for _, p in shown(client, 14, municipality="padova")) == 0


def test_a_tile_changes_its_etag_when_and_only_when_it_changes(
    client: TestClient, report: Report, database: str
) -> None:
    for zoom in (4, 15):
        tile = Tile.at(HERE, zoom)
        path = f"/tiles/reports/{zoom}/{tile.x}/{tile.y}.mvt"
        report()
        first = client.get(path)
        assert first.headers["cache-control"] == "public, max-age=0, must-revalidate"
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        with psycopg.connect(database) as admin:
            while pyramid.fold(admin):
                pass
        assert client.get(path).headers["etag"] == first.headers["etag"], "folding is nobody's business"
        report()
        other = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert other.status_code == 200
        assert other.headers["etag"] != first.headers["etag"]


def test_an_etag_is_compared_whole_and_weakly(client: TestClient, report: Report) -> None:
    report()
    tag = client.get("/tiles/reports/0/0/0.mvt").headers["etag"]
    for sent, status in (
        (f'"other", {tag}', 304),
        (f"W/{tag}", 304),
        ("*", 304),
        (tag.strip('"')[:8], 200),
        ('"x' + tag[1:], 200),
    ):
        assert client.get("/tiles/reports/0/0/0.mvt", headers={"If-None-Match": sent}).status_code == status, sent
