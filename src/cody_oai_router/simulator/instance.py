"""One simulated Sourcegraph: its version, its token and the choices that differ between sites of the same version."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal
from uuid import UUID

from cody_oai_router.simulator.catalogue import CREATED, Model
from cody_oai_router.simulator.catalogues import models_of
from cody_oai_router.simulator.profiles import Profile

Gate = Literal["403", "404"]
Parallel = Literal["new-id", "no-id"]
Listing = Literal["full", "null", "unlisted"]
Catalogue = Literal["standard", "6", "57", "null"]


@dataclass(frozen=True, slots=True)
class Instance:
    """What every handler needs to know; the random source makes identifiers and is seeded, the clock is a Unix time."""

    profile: Profile
    token: str
    pace: float
    demo: bool
    gate: Gate
    parallel: Parallel
    listing: Listing
    alternation: bool | Sequence[str]
    prefill: bool | None
    cody_enabled: bool
    context_filters: bool
    catalogue: Catalogue
    random: Random
    clock: Callable[[], float]

    @property
    def models(self) -> Sequence[Model]:
        """The models that answer: none on a site whose catalogue is null (contract §6.2)."""
        return () if self.listing == "null" else models_of(self.catalogue, self.profile.models)

    @property
    def listed(self) -> Sequence[Model] | None:
        """The models that the listings name: they may be fewer than answer, or null."""
        return None if self.catalogue == "null" else {"full": self.models, "unlisted": (), "null": None}[self.listing]

    @property
    def created(self) -> int:
        """The `created` of listed models: 0 before 6.12 (contract §6.1)."""
        return CREATED if self.profile.version.startswith("6.12") else 0

    def alternates(self, model: Model) -> bool:
        """Tells whether this site's provider refuses two neighbours of one speaker for this model."""
        if isinstance(self.alternation, bool):
            return self.alternation and model.provider in {"anthropic", "google"}
        return model.ref in self.alternation

    def accepts_prefill(self, model: Model) -> bool:
        """Tells whether the conversation may end with the assistant."""
        return model.prefill if self.prefill is None else self.prefill

    def chat_id(self) -> str:
        """Makes a new `chat-…` identifier."""
        return f"chat-{UUID(int=self.random.getrandbits(128), version=4)}"

    def call_id(self, model: Model) -> str:
        """Makes a new tool call identifier in the provider's style."""
        prefix = "toolu_vrtx_" if model.provider == "anthropic" else "call_"
        return f"{prefix}{self.random.getrandbits(96):024x}"
