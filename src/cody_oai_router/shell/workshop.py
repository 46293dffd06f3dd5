"""What every request needs and none owns: settings, the client to Sourcegraph, the instance, the pulse, clock and log."""

from dataclasses import dataclass

import msgspec

from cody_oai_router.faults import Fault
from cody_oai_router.http1 import Client
from cody_oai_router.settings import Settings
from cody_oai_router.shell.clock import Clock
from cody_oai_router.shell.instance import Instance
from cody_oai_router.shell.log import Log
from cody_oai_router.shell.pulse import Pulse


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The things that requests share; `common_headers` and `chat_target` are made once."""

    settings: Settings
    client: Client
    instance: Instance
    pulse: Pulse
    clock: Clock
    log: Log
    common_headers: bytes
    chat_target: bytes
    demo: bool

    def redacted(self, fault: Fault) -> Fault:
        """Gives a fault without any secret: upstream may quote what it was sent."""
        return msgspec.structs.replace(fault, message=self.log.redact(fault.message))
