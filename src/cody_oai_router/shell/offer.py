"""What an instance offers: its models, and which of them its own chat begins with."""

import msgspec

from cody_oai_router.catalogue import Catalogue
from cody_oai_router.checkup.models import read_default
from cody_oai_router.faults import Fault
from cody_oai_router.settings import Settings
from cody_oai_router.shell.log import Log
from cody_oai_router.shell.pages import Pages
from cody_oai_router.shell.router import close_workshop, open_workshop
from cody_oai_router.shell.workshop import Workshop
from cody_oai_router.upstreams.requests import SUPPORTED_PATH


class Offer(msgspec.Struct, frozen=True):
    """The models as the router knows them; `default` is the reference that Cody's chat begins with, if the instance says."""

    catalogue: Catalogue
    default: str | None


async def ask_for_offer(settings: Settings, log: Log) -> Offer | Fault:
    """Asks the instance as the router does; a fault where it gives no listing. Raises OSError where certificates cannot be used."""
    shop = open_workshop(settings, log, demo=False)
    try:
        offer, fault = await read_offer(shop), shop.instance.listing_fault
    finally:
        await close_workshop(shop)
    # An instance without a listing serves models all the same, by the names that clients give.
    if not offer.catalogue.models and fault is not None and fault.kind != "not_found":
        return fault
    return offer


async def read_offer(shop: Workshop) -> Offer:
    """Gives what is known of the models, as far as the instance tells it."""
    catalogue = await shop.instance.catalogue()
    supported = await Pages(shop.client, shop.settings, shop.common_headers, shop.clock).get(SUPPORTED_PATH)
    return Offer(catalogue, None if isinstance(supported, Fault) else read_default(supported))
