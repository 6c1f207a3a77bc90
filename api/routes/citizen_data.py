"""The errand of a citizen who wants to know what is held about them (GDPR, articles 15 and 20)."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.access import Citizen
from api.routes.citizen import secret
from api.routes.subscriptions import shown
from api.schemas.citizen import CitizenData
from city import pacing
from city.database import provincial
from city.messages.subscriptions import own as own_subscriptions
from city.records import own_data
from city.registry import view
from city.registry.sign_in import citizens, fiscal_codes

router = APIRouter(prefix="/api/v1/citizen", tags=["citizen"])

_PACE = pacing.Pace("citizen data", 5, 600)


@router.get("/data", response_model=CitizenData)
def show_own_data(citizen: Citizen) -> Response:
    """All that is held about whoever is signed in, as a file: the account and its sign-ins, own reports, subscriptions
    and letters of the address. What others said or are stays out, as it does for whoever holds a receipt token.
    """
    pacing.take((_PACE, str(citizen.id)))
    address, number = citizen.email or "", citizens.fiscal_number(citizen)
    addresses = [*([address.lower()] if address else []), *([fiscal_codes.alias(number)] if number else [])]
    with provincial() as session:
        registry = view.fresh(session)
        asked_for = own_subscriptions.asked_for(session, registry.municipalities, address)
        held = {
            "citizen": {
                "email": citizen.email,
                "name": citizen.name,
                "language": citizen.language,
                "fiscal_number": number,
                "created_at": citizen.created_at,
                "seen_at": citizen.seen_at,
            },
            "sign_ins": [
                {
                    "device": one.device,
                    "created_at": one.created_at,
                    "seen_at": one.seen_at,
                    "expires_at": one.expires_at,
                    "revoked_at": one.revoked_at,
                }
                for one in citizens.all_sign_ins(session, citizen.id)
            ],
            "reports": own_data.reports(session, registry, citizen),
            "subscriptions": [
                shown(session, one.municipality_id, one, wishes).model_dump() for one, wishes in asked_for
            ],
            "letters": own_subscriptions.letters(session, registry, addresses),
        }
    answer = secret(held)
    answer.headers["Content-Disposition"] = 'attachment; filename="lampione.json"'
    return answer
