"""The errands that have to do with the world outside the municipality's offices, in one place."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from api.pages import handover
from api.routes import children, contractor, handing_over, outside_bodies

ROUTERS: Final[tuple[APIRouter, ...]] = (
    children.router,
    contractor.router,
    handing_over.router,
    outside_bodies.router,
    handover.router,
)
