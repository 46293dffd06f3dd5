"""One refusal, as each version writes it."""

import pytest

from cody_oai_router.simulator.profiles import PROFILES
from cody_oai_router.simulator.refusals import REFUSALS, Refusal, answer, body, stream_answer, wrapped
from cody_oai_router.simulator.steps import Send

OUTER = Refusal(400, "no <X> of <Y>", "§0", type="kind")
INNER = OUTER._replace(inner=True)
PLAIN = OUTER._replace(plain=True)
WRAPPED = (
    "failed to forward request to apiHandler: handler returned unexpected status code: got 400 want 200, "
    "response body: no a of b\n"
)


@pytest.mark.parametrize(
    ("profile", "refusal", "status", "text"),
    [
        ("5.6", OUTER, 400, "no a of b\n"),
        ("5.6", INNER, 500, WRAPPED),
        ("5.6", PLAIN, 400, "no a of b\n"),
        ("6.12", OUTER, 400, '{"message":"no a of b","type":"kind"}'),
        ("6.12", INNER, 400, '{"message":"no a of b","type":"kind"}'),
        ("6.12", PLAIN, 400, "no a of b\n"),
    ],
)
def test_text_wrapped_text_or_json(profile: str, refusal: Refusal, status: int, text: str) -> None:
    made = answer(refusal.about("a", "b"), PROFILES[profile])
    assert (made.status, made.body) == (status, (Send(text.encode()),))


@pytest.mark.parametrize(
    ("profile", "refusal", "text"),
    [
        ("5.6", INNER, "no a of b\n"),
        ("6.1", OUTER, "no a of b\n"),
        ("6.5-starter", INNER, '{"message":"no a of b","type":"kind"}'),
        ("6.12", PLAIN, "no a of b\n"),
    ],
)
def test_codys_stream_wraps_nothing_and_writes_json_since_6_5(profile: str, refusal: Refusal, text: str) -> None:
    made = stream_answer(refusal.about("a", "b"), PROFILES[profile])
    assert (made.status, made.body) == (400, (Send(text.encode()),))


def test_parts() -> None:
    assert body(OUTER) == {"message": "no <X> of <Y>", "type": "kind"}
    assert f"{wrapped(400, 'no a of b')}\n" == WRAPPED


def test_every_text_names_its_clause() -> None:
    assert all(refusal.section.startswith("§") for refusal in REFUSALS.values())
