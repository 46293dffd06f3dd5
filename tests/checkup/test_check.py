"""What a number of checks come to."""

import pytest

from cody_oai_router.checkup.check import NAMES, Check, Name, Status, skipped, too_slow, unseen, verdict, works


def checks(*statuses: Status) -> list[Check]:
    return [Check(name, status, "seen") for name, status in zip(NAMES, statuses, strict=False)]


@pytest.mark.parametrize(
    ("made", "works_then", "words"),
    [
        (checks("ok", "ok"), True, "The router will work. Start it: cody-oai-router"),
        (
            checks("ok", "warning"),
            True,
            "The router will work; read the warning above. Start it: cody-oai-router",
        ),
        (
            checks("warning", "ok", "warning"),
            True,
            "The router will work; read the 2 warnings above. Start it: cody-oai-router",
        ),
        (
            checks("warning", "failed", "skipped"),
            False,
            "The router will not work yet. Put this right first: dns. Then run cody-oai-router doctor again.",
        ),
    ],
)
def test_only_a_failure_keeps_the_router_from_working(made: list[Check], works_then: bool, words: str) -> None:
    assert works(made) is works_then
    assert verdict(made) == words


def test_what_was_not_seen_says_why() -> None:
    assert skipped("tls", "dns") == Check("tls", "skipped", "not looked at: dns has to work first")
    slow = too_slow("connection", 10.0)
    assert (slow.status, slow.detail) == ("failed", "no answer within 10 s")
    assert slow.advice


@pytest.mark.parametrize(
    ("name", "status"),
    [
        *((name, "failed") for name in ("dns", "connection", "proxy", "tls", "answer", "streaming")),
        *((name, "warning") for name in ("version", "token", "cody", "llm-api", "context-filters", "models", "tools")),
    ],
)
def test_what_chat_can_do_without_keeps_nobody_from_it(name: Name, status: Status) -> None:
    assert unseen(name, "it broke", "mend it") == Check(name, status, "it broke", "mend it")
    assert too_slow(name, 10.0).status == status
