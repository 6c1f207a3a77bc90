"""Who may come in: named aliases for route signatures. A route without one is open to everybody.

Signed        somebody signed in
Enrolling     the same, or somebody who must set up a second factor before anything else
Workplace     somebody signed in, and the municipality they mean to work in
Citizen       a citizen signed in
ReportKey     what opens a report to its reporter: the receipt token, else the citizen signed in
administering one transaction on a registry, for its administrators only
IfMatch       the version of the report that a change was made from
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Query, Request

from city.database import PROVINCE, ReadSession, WriteSession, provincial, reading, trying, writing
from city.errors import Forbidden, InvalidInput, NotAuthenticated
from city.records.holding import Key
from city.registry import territory, view
from city.registry.municipality import MunicipalityView, Registry
from city.registry.sign_in import citizen_tables, citizens, signing_in
from city.registry.staff.people import Right, Staff
from city.registry.tables import Municipality
from city.reports.changing import Desk


def bearer(request: Request) -> str:
    """The token of the Authorization header. Raises NotAuthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("people.not_signed_in")
    return token.strip()


def _signed(token: Annotated[str, Depends(bearer)]) -> Staff:
    with provincial() as session:
        return signing_in.signed_in(session, token)


def _enrolling(token: Annotated[str, Depends(bearer)]) -> Staff:
    with provincial() as session:
        return signing_in.signed_in(session, token, to_enrol=True)


Token = Annotated[str, Depends(bearer)]
Signed = Annotated[Staff, Depends(_signed)]
Enrolling = Annotated[Staff, Depends(_enrolling)]


def _citizen(token: Token) -> citizen_tables.Citizen:
    with provincial() as session:
        return citizens.signed_in(session, token)


def citizen_of(request: Request) -> citizen_tables.Citizen | None:
    """The citizen who is signed in, or None where nobody or somebody of the staff is.

    Raises NotAuthenticated where a citizen's token is not good any more.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not citizens.is_citizens(token.strip()):
        return None
    return _citizen(token.strip())


Citizen = Annotated[citizen_tables.Citizen, Depends(_citizen)]


@dataclass(frozen=True, slots=True)
class Work:
    """Somebody signed in, and where they work."""

    staff: Staff
    municipality_id: int

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """One transaction of theirs: kept if the block ends well."""
        with writing(self.municipality_id) as session:
            yield Desk(session, view.fresh(session).municipalities[self.municipality_id], self.staff)

    @contextmanager
    def trial(self) -> Iterator[Desk]:
        """A transaction of theirs that is always undone."""
        with trying(self.municipality_id) as session:
            yield Desk(session, view.fresh(session).municipalities[self.municipality_id], self.staff)

    @contextmanager
    def looking(self) -> Iterator[tuple[ReadSession, MunicipalityView]]:
        """A read-only look."""
        with reading(self.municipality_id) as session:
            yield session, view.fresh(session).municipalities[self.municipality_id]


def _home(registry: Registry, staff: Staff) -> int:
    if staff.home_id not in registry.municipalities:
        raise InvalidInput("people.which_municipality", field="municipality")
    return staff.home_id


def _workplace(staff: Signed, municipality: Annotated[str | None, Query(max_length=63)] = None) -> Work:
    if municipality is None:
        return Work(staff, view.found(lambda registry: _home(registry, staff)))
    chosen = view.found(lambda registry: registry.municipality(municipality))
    if not staff.works_in(chosen.id):
        raise Forbidden("people.not_here", municipality=chosen.name)
    return Work(staff, chosen.id)


Workplace = Annotated[Work, Depends(_workplace)]


def work_of(staff: Staff, municipality: str | None) -> Work:
    """Where `staff` work: at home, or in the municipality that they name. Raises Forbidden, NotFound, InvalidInput."""
    return _workplace(staff, municipality)


def staff_at(token: str, municipality: str | None) -> Work:
    """Who holds `token`, and where they work: for routes that are open to everybody, and wider to staff.

    Raises NotAuthenticated, Forbidden, NotFound, InvalidInput.
    """
    return _workplace(_signed(token), municipality)


@contextmanager
def administering(staff: Staff, owner: str) -> Iterator[tuple[WriteSession, Municipality]]:
    """One transaction on the registry of `owner`, for its administrators only."""
    staff.needs(Right.ADMINISTER)
    with provincial() as session:
        home = territory.home(session, owner)
        allowed = staff.works_in(home.id) if home.id != PROVINCE else staff.home_id == PROVINCE
        if not allowed:
            raise Forbidden("people.not_here", municipality=home.name)
        yield session, home


def _if_match(
    if_match: Annotated[
        str | None,
        Header(description='The ETag of the report as it was read, such as "v3".', examples=['"v3"'], max_length=40),
    ] = None,
) -> int | None:
    if if_match is None:
        return None
    tag = if_match.strip().strip('"')
    if tag.startswith("v") and tag[1:].isascii() and tag[1:].isdigit() and len(tag) < 12:  # noqa: PLR2004
        return int(tag[1:])
    raise InvalidInput("problem.not_an_etag", field="If-Match", value=if_match)


IfMatch = Annotated[int | None, Depends(_if_match)]


def etag(version: int) -> str:
    """The ETag of a report at this version."""
    return f'"v{version}"'


ReceiptToken = Annotated[
    str | None,
    Header(
        alias="Receipt-Token",
        description="The secret that came with the 201 answer. Not needed by a citizen whose report it is and who is"
        " signed in.",
        max_length=100,
    ),
]


def _report_key(request: Request, receipt_token: ReceiptToken = None) -> Key:
    return receipt_token or citizen_of(request) or ""


ReportKey = Annotated[Key, Depends(_report_key)]
