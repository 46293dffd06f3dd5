"""What every request needs and none owns: settings, the client to Sourcegraph, the instance, the pulse, clock and log."""

from dataclasses import dataclass, field

import msgspec

from cody_oai_router.abilities import Endpoint
from cody_oai_router.exchange import Budgets
from cody_oai_router.faults import Fault
from cody_oai_router.http1 import Client, Clocks
from cody_oai_router.roads import Road
from cody_oai_router.settings import Settings
from cody_oai_router.shell.clock import Clock
from cody_oai_router.shell.instance import Instance
from cody_oai_router.shell.log import Log
from cody_oai_router.shell.pulse import Pulse
from cody_oai_router.upstreams import completions_stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The things that requests share.

    `common_headers` are made once, addresses once for each road, clocks once for each kind of request.
    """

    settings: Settings
    client: Client
    instance: Instance
    pulse: Pulse
    clock: Clock
    log: Log
    common_headers: bytes
    budgets: Budgets
    demo: bool
    targets: dict[tuple[Endpoint, int], bytes] = field(default_factory=dict)
    known_clocks: dict[tuple[bool, bool], Clocks] = field(default_factory=dict)

    def target(self, road: Road) -> bytes:
        """Gives the address on the instance where a road leads."""
        key = road.endpoint, road.version
        if key not in self.targets:
            settings = self.settings
            path = settings.cody_path if road.endpoint == "cody" else settings.llm_path
            query = completions_stream.query(road.version) if road.endpoint == "cody" else ""
            self.targets[key] = (settings.upstream.target(path) + query).encode()
        return self.targets[key]

    def clocks(self, *, slow: bool, halting: bool) -> Clocks:
        """Gives the clocks of a request: of one whose first byte may take long, of one whose answer may halt on its way."""
        key = slow, halting
        if key not in self.known_clocks:
            timeouts = self.settings.timeouts
            first_byte = timeouts.slow_first_byte if slow else timeouts.first_byte
            idle = max(timeouts.idle, first_byte) if halting else timeouts.idle
            self.known_clocks[key] = Clocks(timeouts.connect, first_byte, idle, timeouts.total)
        return self.known_clocks[key]

    def redacted(self, fault: Fault) -> Fault:
        """Gives a fault without any secret: upstream may quote what it was sent."""
        return msgspec.structs.replace(fault, message=self.log.redact(fault.message))
