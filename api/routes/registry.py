"""Anybody's errand: which municipalities are here, and what can be reported where."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.schemas.base import MunicipalityListed, MunicipalityOut, Named, Slug
from api.schemas.receipt import QuestionOut
from api.schemas.taxonomy import CategoriesOut, CategoryListed, DeadlineSpan, GroupListed
from city.database import public
from city.errors import InvalidInput
from city.registry import view
from city.registry.municipality import Registry
from city.reports.checks import checked
from geo.place import Place

router = APIRouter(prefix="/api/v1", tags=["registry"])


def _registry() -> Registry:
    with public() as session:
        return view.fresh(session)


@router.get("/municipalities")
def list_municipalities() -> list[MunicipalityListed]:
    """The municipalities served here."""
    return [
        MunicipalityListed(
            slug=m.slug,
            name=m.name,
            istat_code=m.istat_code,
            accepts_anonymous=m.accepts_anonymous,
            languages=list(m.languages),
            app_io=m.has_app_io,
        )
        for m in sorted(_registry().municipalities.values(), key=lambda m: m.name)
    ]


@router.get("/categories")
def list_categories(
    municipality: Annotated[Slug | None, Query()] = None,
    lon: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    lat: Annotated[float | None, Query(allow_inf_nan=False)] = None,
) -> CategoriesOut:
    """What can be reported in a municipality, or at a place."""
    registry = _registry()
    if municipality is not None:
        here = registry.municipality(municipality)
    elif lon is not None and lat is not None:
        here = registry.at(checked(Place(lon, lat)))
    else:
        raise InvalidInput("registry.where", field="municipality")
    offered = [category for category in here.categories.values() if category.is_active]
    groups = {category.group.slug: category.group for category in offered}
    return CategoriesOut(
        municipality=MunicipalityOut(slug=here.slug, name=here.name),
        accepts_anonymous=here.accepts_anonymous,
        groups=[
            GroupListed(slug=g.slug, name=Named(it=g.name.it, en=g.name.en), icon=g.icon, colour=g.colour)
            for g in groups.values()
        ],
        categories=[
            CategoryListed(
                slug=c.slug,
                group=c.group.slug,
                name=Named(it=c.name.it, en=c.name.en),
                is_public=c.is_public,
                deadline=DeadlineSpan(amount=c.deadline.amount, unit=c.deadline.unit),
                questions=[QuestionOut.model_validate(question) for question in c.questions],
            )
            for c in offered
        ],
    )
