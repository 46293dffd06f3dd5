"""What broke between us and Sourcegraph, as a `Fault`: the one place that knows the exceptions of `http1`."""

from cody_oai_router.faults import Fault
from cody_oai_router.http1 import ClientError, TimedOut

_VARIABLES = {
    "connect": "CONNECT_TIMEOUT",
    "first byte": "FIRST_BYTE_TIMEOUT (SLOW_FIRST_BYTE_TIMEOUT for models that reason and for answers asked whole)",
    "idle": "IDLE_TIMEOUT",
    "total": "TOTAL_TIMEOUT",
}


def fault_of(error: Exception) -> Fault:
    """Maps a failure of the connection; messages name the host, never a header or a token."""
    if isinstance(error, TimedOut):
        variable = _VARIABLES[error.phase]
        message = (
            f"Sourcegraph was silent for {error.seconds:g} s ({error.phase}); {variable} sets how long that may be."
        )
        if error.phase == "total":
            message = f"The answer took longer than the {error.seconds:g} s that TOTAL_TIMEOUT allows."
        return Fault(kind="timed_out", message=message)
    if isinstance(error, ClientError):
        return Fault(kind="bad_gateway", message=str(error))
    return Fault(kind="bad_gateway", message=f"The connection to Sourcegraph failed: {type(error).__name__}.")
