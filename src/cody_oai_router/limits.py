"""How long and how much: every clock and every bound of the router. The table of variables gives the reasons."""

import msgspec

from cody_oai_router.notation import read_bytes, read_count, read_seconds, read_wait
from cody_oai_router.reading import Reading


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in seconds."""

    connect: float
    first_byte: float
    slow_first_byte: float
    idle: float
    total: float | None
    head_hold: float
    heartbeat: float
    shutdown_grace: float
    head: float
    body_silence: float
    write_stall: float
    keep_alive: float
    upstream_keep_alive: float
    concurrency_wait: float


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in bytes or as counts, as the table of variables explains them."""

    body_bytes: int
    head_bytes: int
    upstream_head_bytes: int
    headers: int
    connections: int
    upstream_connections: int
    event_bytes: int
    reply_bytes: int
    buffered_bytes: int


def read_timeouts(reading: Reading) -> Timeouts:
    """The durations that the variables say."""
    return Timeouts(
        connect=reading.value("CONNECT_TIMEOUT", read_seconds),
        first_byte=reading.value("FIRST_BYTE_TIMEOUT", read_seconds),
        slow_first_byte=reading.value("SLOW_FIRST_BYTE_TIMEOUT", read_seconds),
        idle=reading.value("IDLE_TIMEOUT", read_seconds),
        total=reading.optional("TOTAL_TIMEOUT", read_seconds),
        head_hold=reading.value("HEAD_HOLD", read_seconds),
        heartbeat=reading.value("HEARTBEAT_INTERVAL", read_seconds),
        shutdown_grace=reading.value("SHUTDOWN_GRACE", read_seconds),
        head=reading.value("HEAD_TIMEOUT", read_seconds),
        body_silence=reading.value("BODY_TIMEOUT", read_seconds),
        write_stall=reading.value("WRITE_TIMEOUT", read_seconds),
        keep_alive=reading.value("KEEP_ALIVE_TIMEOUT", read_seconds),
        upstream_keep_alive=reading.value("UPSTREAM_KEEP_ALIVE", read_seconds),
        concurrency_wait=reading.value("CONCURRENCY_WAIT", read_wait),
    )


def read_limits(reading: Reading) -> Limits:
    """The bounds that the variables say."""
    return Limits(
        body_bytes=reading.value("MAX_BODY_BYTES", read_bytes),
        head_bytes=reading.value("MAX_HEAD_BYTES", read_bytes),
        upstream_head_bytes=reading.value("MAX_UPSTREAM_HEAD_BYTES", read_bytes),
        headers=reading.value("MAX_HEADERS", read_count),
        connections=reading.value("MAX_CONNECTIONS", read_count),
        upstream_connections=reading.value("MAX_UPSTREAM_CONNECTIONS", read_count),
        event_bytes=reading.value("MAX_EVENT_BYTES", read_bytes),
        reply_bytes=reading.value("MAX_REPLY_BYTES", read_bytes),
        buffered_bytes=reading.value("MAX_BUFFERED_BYTES", read_bytes),
    )
