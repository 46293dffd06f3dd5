"""A Sourcegraph that runs on this machine: version profiles, faults, a scripted model (contract §9).

It models Sourcegraph as the contract describes it, and imports nothing else of this package, so that it shares neither
our misunderstandings nor our bugs.
"""

from cody_oai_router.simulator import faults
from cody_oai_router.simulator.model import Attribution, Call, Fail, Reply, Text, Thought
from cody_oai_router.simulator.profiles import PROFILES
from cody_oai_router.simulator.simulator import DEMO_TOKEN, Simulator
from cody_oai_router.simulator.site import CHAT, STREAM
from cody_oai_router.simulator.steps import Close, Fault, Hold, Ordinary, Reset, Send, Step, Wait
from cody_oai_router.simulator.wire import Received

__all__ = [
    "CHAT",
    "DEMO_TOKEN",
    "PROFILES",
    "STREAM",
    "Attribution",
    "Call",
    "Close",
    "Fail",
    "Fault",
    "Hold",
    "Ordinary",
    "Received",
    "Reply",
    "Reset",
    "Send",
    "Simulator",
    "Step",
    "Text",
    "Thought",
    "Wait",
    "faults",
]
