"""How streets and house numbers come into the register: all of a file or none of it, in one transaction.

What is given replaces what its kind of file gave before; what has not changed is not touched. Rows are copied into a
temporary table first, because COPY and row-level security do not go together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from psycopg import sql
from shapely.geometry.base import BaseGeometry

from city.database import WriteSession
from city.errors import Conflict
from city.registry.addresses.street_names import HouseNumber, grams, telling, words_of
from geo.nearby import extended_wkb, middle_of, points_along
from geo.place import Place, morton

Origin = Literal["numbers", "lines"]
GUARDED: Final = 50
"""So many may vanish without a question."""
VANISHING: Final = 0.3
"""A file that lacks more than this share of what is here is likelier to be the wrong one."""


class StreetEntry(NamedTuple):
    """A street as a file names it; `code` is the register's own."""

    kind: str
    name: str
    code: str | None = None
    locality: str | None = None
    postcode: str | None = None

    @property
    def label(self) -> str:
        """Kind and name."""
        return f"{self.kind} {self.name}".strip()

    @property
    def words(self) -> str:
        """The label in the one form."""
        return " ".join(words_of(self.label))

    @property
    def reference(self) -> str:
        """By which it is known again."""
        if self.code:
            return f"code:{self.code}"
        beside = " ".join(words_of(self.locality or ""))
        return f"name:{self.words}|{beside}" if beside else f"name:{self.words}"


class NumberEntry(NamedTuple):
    """A house number: of which street (its place among those given), where, and the row of the file."""

    street: int
    number: HouseNumber
    postcode: str | None
    place: Place
    row: int


@dataclass
class Changes:
    """What an import changed."""

    streets_added: int = 0
    streets_changed: int = 0
    streets_removed: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    repeated: int = 0
    """Rows that say a number a second time: the first one counts."""
    here: dict[str, int] = field(default_factory=dict)
    """How many streets and numbers there are now."""


class _Known(NamedTuple):
    id: int
    entry: tuple[str, str, str | None, str | None]
    """Kind, name, locality, postcode."""
    reference: str
    words: str
    origins: list[str]


class AddressBook:
    """The register of one municipality, being renewed."""

    def __init__(self, session: WriteSession, municipality_id: int) -> None:
        self._raw = session.raw
        self._municipality_id = municipality_id
        self._raw.execute("SET LOCAL statement_timeout = 0")
        self._raw.execute(
            "CREATE TEMP TABLE staged_number (street integer, number integer, suffix text, written text, postcode text,"
            " lon float8, lat float8, cell bigint, row integer) ON COMMIT DROP"
        )

    def stage(self, numbers: Iterable[NumberEntry]) -> None:
        """Copy house numbers aside; call it as often as there are pieces."""
        copy = "COPY staged_number FROM STDIN"
        with self._raw.cursor() as cursor, cursor.copy(copy) as into:
            for entry in numbers:
                number, place = entry.number, entry.place
                into.write_row(
                    (
                        entry.street,
                        number.number,
                        number.suffix,
                        number.written,
                        entry.postcode,
                        place.lon,
                        place.lat,
                        morton(*place.cell()),
                        entry.row,
                    )
                )

    def keep_numbers(self, streets: Sequence[StreetEntry], *, may_remove: bool = False) -> Changes:
        """Make what was staged the register's numbers. Raises Conflict where too much would vanish."""
        changes = Changes()
        ids = self._keep_streets(streets, "numbers", changes)
        self._resolve(ids, changes)
        self._replace_numbers(changes, may_remove=may_remove)
        self._leave_streets("numbers", ids, changes)
        self._place_streets()
        return self._finished(changes)

    def keep_lines(self, lines: Sequence[tuple[StreetEntry, BaseGeometry]], *, may_remove: bool = False) -> Changes:
        """Make these the streets' lines (MultiLineStrings, WGS84). Raises Conflict where too much would vanish.

        Where several streets of one name are known, `lines` may hold one entry for each (see `homonyms`). An entry
        without code is the street of the same words, if there is one.
        """
        changes = Changes()
        ids = self._keep_streets([entry for entry, _ in lines], "lines", changes)
        self._replace_lines(dict(zip(ids, (shape for _, shape in lines), strict=True)), changes, may_remove=may_remove)
        self._leave_streets("lines", ids, changes)
        self._place_streets()
        return self._finished(changes)

    def homonyms(self) -> dict[str, list[tuple[StreetEntry, Place]]]:
        """The streets that the register of numbers knows, by their words: several where names are shared."""
        rows = self._raw.execute(
            "SELECT words, kind, name, reference, locality, lon, lat FROM street WHERE municipality_id = %s"
            " AND lon IS NOT NULL AND 'numbers' = ANY(origins)",
            (self._municipality_id,),
        )
        found: dict[str, list[tuple[StreetEntry, Place]]] = {}
        for words, kind, name, reference, locality, lon, lat in rows:
            code = reference.removeprefix("code:") if reference.startswith("code:") else None
            entry = StreetEntry(kind, name, code, locality)
            found.setdefault(words, []).append((entry, Place(lon, lat)))
        return found

    # --- streets

    def _keep_streets(self, streets: Sequence[StreetEntry], origin: Origin, changes: Changes) -> list[int]:
        """Make or mend each street; their ids, in the order given."""
        known = self._known()
        by_reference = {street.reference: street for street in known}
        by_words: dict[str, list[_Known]] = {}
        for street in known:
            by_words.setdefault(street.words, []).append(street)
        ids: list[int] = []
        taken: set[int] = set()
        for entry in streets:
            found = by_reference.get(entry.reference) or self._adopted(entry, by_words, taken, origin)
            if found is None:
                ids.append(self._add(entry, origin))
                changes.streets_added += 1
            else:
                taken.add(found.id)
                ids.append(found.id)
                changes.streets_changed += self._mend(found, entry, origin)
        return ids

    def _known(self) -> list[_Known]:
        rows = self._raw.execute(
            "SELECT id, kind, name, locality, postcode, reference, words, origins FROM street"
            " WHERE municipality_id = %s ORDER BY id",
            (self._municipality_id,),
        )
        return [_Known(row[0], (row[1], row[2], row[3], row[4]), *row[5:]) for row in rows]

    @staticmethod
    def _adopted(
        entry: StreetEntry, by_words: dict[str, list[_Known]], taken: set[int], origin: Origin
    ) -> _Known | None:
        """A street of the same words that only the other kind of file has named: it is this one."""
        for street in by_words.get(entry.words, ()):
            if street.id not in taken and (origin == "lines" or origin not in street.origins):
                return street
        return None

    def _add(self, entry: StreetEntry, origin: Origin) -> int:
        found = grams(telling(words_of(entry.label)))
        row = self._raw.execute(
            "INSERT INTO street (municipality_id, reference, kind, name, label, words, locality, postcode, origins,"
            " gram_count) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                self._municipality_id,
                entry.reference,
                entry.kind,
                entry.name,
                entry.label,
                entry.words,
                entry.locality,
                entry.postcode,
                [origin],
                len(found),
            ),
        ).fetchone()
        assert row is not None
        self._add_grams(row[0], found)
        return int(row[0])

    def _add_grams(self, street_id: int, found: Sequence[str]) -> None:
        self._raw.execute(
            "INSERT INTO street_gram (municipality_id, gram, street_id) SELECT %s, unnest(%s::text[]), %s",
            (self._municipality_id, list(found), street_id),
        )

    def _mend(self, street: _Known, entry: StreetEntry, origin: Origin) -> bool:
        """Bring a known street up to what the file says; whether that changed what people read of it.

        A file of lines knows names from hearsay: where the register of numbers has named the street, its word counts.
        """
        is_authority = origin == "numbers" or "numbers" not in street.origins
        told = (entry.kind, entry.name, entry.locality, entry.postcode) if is_authority else street.entry
        reference = entry.reference if is_authority else street.reference
        origins = sorted({*street.origins, origin})
        if (told, reference, origins) == (street.entry, street.reference, sorted(street.origins)):
            return False
        found = grams(telling(words_of(f"{told[0]} {told[1]}")))
        label = f"{told[0]} {told[1]}".strip()
        self._raw.execute(
            "UPDATE street SET kind = %s, name = %s, locality = %s, postcode = %s, label = %s, words = %s,"
            " reference = %s, origins = %s, gram_count = %s WHERE municipality_id = %s AND id = %s",
            (
                *told,
                label,
                " ".join(words_of(label)),
                reference,
                origins,
                len(found),
                self._municipality_id,
                street.id,
            ),
        )
        self._raw.execute(
            "DELETE FROM street_gram WHERE municipality_id = %s AND street_id = %s", (self._municipality_id, street.id)
        )
        self._add_grams(street.id, found)
        return told != street.entry

    def _leave_streets(self, origin: Origin, ids: Sequence[int], changes: Changes) -> None:
        """Streets this kind of file does not name any more; those that no file names go."""
        own = (self._municipality_id,)
        self._raw.execute(
            "UPDATE street SET origins = array_remove(origins, %s) WHERE municipality_id = %s AND %s = ANY(origins)"
            " AND NOT id = ANY(%s)",
            (origin, *own, origin, list(ids)),
        )
        gone = self._raw.execute("DELETE FROM street WHERE municipality_id = %s AND origins = '{}'", own)
        changes.streets_removed += gone.rowcount

    def _place_streets(self) -> None:
        """Where each street with numbers is: at the house nearest to the middle of them."""
        self._raw.execute(
            """
            UPDATE street SET lon = middle.lon, lat = middle.lat
            FROM (
              SELECT DISTINCT ON (street_id) street_id, lon, lat FROM (
                SELECT street_id, lon, lat, avg(lon) OVER houses AS x, avg(lat) OVER houses AS y FROM house_number
                WHERE municipality_id = %(id)s WINDOW houses AS (PARTITION BY street_id)
              ) AS house
              ORDER BY street_id, (lon - x) * (lon - x) + (lat - y) * (lat - y), lon, lat
            ) AS middle
            WHERE municipality_id = %(id)s AND street.id = middle.street_id
              AND (street.lon, street.lat) IS DISTINCT FROM (middle.lon, middle.lat)
            """,
            {"id": self._municipality_id},
        )

    # --- numbers

    def _resolve(self, ids: Sequence[int], changes: Changes) -> None:
        """Staged rows get their streets' ids; of a number said twice the first row is kept."""
        self._raw.execute("CREATE TEMP TABLE staged_street (street integer, street_id integer) ON COMMIT DROP")
        with self._raw.cursor() as cursor, cursor.copy("COPY staged_street FROM STDIN") as into:
            for place, street_id in enumerate(ids):
                into.write_row((place, street_id))
        self._raw.execute(
            "CREATE TEMP TABLE given ON COMMIT DROP AS SELECT DISTINCT ON (street_id, number, suffix)"
            " street_id, number, suffix, written, postcode, lon, lat, cell"
            " FROM staged_number JOIN staged_street USING (street) ORDER BY street_id, number, suffix, row"
        )
        self._raw.execute("CREATE UNIQUE INDEX ON given (street_id, number, suffix)")
        self._raw.execute("ANALYZE given")
        changes.repeated = self._count("SELECT (SELECT count(*) FROM staged_number) - (SELECT count(*) FROM given)")

    def _replace_numbers(self, changes: Changes, *, may_remove: bool) -> None:
        own = {"id": self._municipality_id}
        vanishing = (
            "FROM house_number WHERE municipality_id = %(id)s AND NOT EXISTS (SELECT FROM given WHERE"
            " given.street_id = house_number.street_id AND given.number = house_number.number"
            " AND given.suffix = house_number.suffix)"
        )
        before = self._count("SELECT count(*) FROM house_number WHERE municipality_id = %(id)s", own)
        self._guard(self._count(f"SELECT count(*) {vanishing}", own), before, may_remove=may_remove)
        changes.removed = self._raw.execute(f"DELETE {vanishing}", own).rowcount
        changes.changed = self._raw.execute(
            "UPDATE house_number SET written = given.written, postcode = given.postcode, lon = given.lon,"
            " lat = given.lat, cell = given.cell FROM given WHERE municipality_id = %(id)s"
            " AND given.street_id = house_number.street_id AND given.number = house_number.number"
            " AND given.suffix = house_number.suffix"
            " AND (house_number.written, house_number.postcode, house_number.lon, house_number.lat)"
            " IS DISTINCT FROM (given.written, given.postcode, given.lon, given.lat)",
            own,
        ).rowcount
        changes.added = self._raw.execute(
            "INSERT INTO house_number"
            " (municipality_id, street_id, number, suffix, written, postcode, lon, lat, cell)"
            " SELECT %(id)s, given.* FROM given ON CONFLICT DO NOTHING",
            own,
        ).rowcount
        changes.unchanged = before - changes.removed - changes.changed

    @staticmethod
    def _guard(vanishing: int, before: int, *, may_remove: bool) -> None:
        if not may_remove and vanishing > GUARDED and vanishing > VANISHING * before:
            raise Conflict("addresses.too_many_vanish", field="file", count=vanishing, before=before)

    # --- lines

    def _replace_lines(self, lines: dict[int, BaseGeometry], changes: Changes, *, may_remove: bool) -> None:
        own = {"id": self._municipality_id}
        before = {
            row[0]: row[1]
            for row in self._raw.execute(
                "SELECT id, shape::text FROM street WHERE municipality_id = %(id)s AND shape IS NOT NULL", own
            )
        }
        gone = [key for key in before if key not in lines]
        self._guard(len(gone), len(before), may_remove=may_remove)
        changes.removed = len(gone)
        for street_id in gone:
            self._draw(street_id, None)
        for street_id, line in lines.items():
            if before.get(street_id) == extended_wkb(line):
                changes.unchanged += 1
                continue
            self._draw(street_id, line)
            changes.added += street_id not in before
            changes.changed += street_id in before

    def _draw(self, street_id: int, line: BaseGeometry | None) -> None:
        key = (self._municipality_id, street_id)
        self._raw.execute("DELETE FROM street_point WHERE municipality_id = %s AND street_id = %s", key)
        if line is None:
            self._raw.execute("UPDATE street SET shape = NULL WHERE municipality_id = %s AND id = %s", key)
            return
        middle = middle_of(line)
        self._raw.execute(
            "UPDATE street SET shape = %s, lon = coalesce(lon, %s), lat = coalesce(lat, %s)"
            " WHERE municipality_id = %s AND id = %s",
            (extended_wkb(line), middle.lon, middle.lat, *key),
        )
        with self._raw.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO street_point (municipality_id, street_id, cell, lon, lat) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [(*key, morton(*place.cell()), place.lon, place.lat) for place in points_along(line)],
            )

    # --- the end

    def _finished(self, changes: Changes) -> Changes:
        own = {"id": self._municipality_id}
        changes.here = {
            name: self._count(sql.SQL("SELECT count(*) FROM {} WHERE municipality_id = %(id)s").format(table), own)
            for name, table in (("streets", sql.Identifier("street")), ("numbers", sql.Identifier("house_number")))
        }
        has = bool(changes.here["streets"])
        if self._count("SELECT has_addresses::integer FROM municipality WHERE id = %(id)s", own) != has:
            # Every process reads the registry anew after this, and intake then knows whether to look.
            self._raw.execute("UPDATE municipality SET has_addresses = %s WHERE id = %s", (has, self._municipality_id))
        return changes

    def _count(self, query: Any, values: dict[str, Any] | None = None) -> int:
        row = self._raw.execute(query, values).fetchone()
        assert row is not None
        return int(row[0])
