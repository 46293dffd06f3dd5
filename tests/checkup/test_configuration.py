"""What the first line of the report says."""

import msgspec
import pytest

from checkup.given import settings_of
from cody_oai_router.checkup.check import Check
from cody_oai_router.checkup.configuration import judge_refusal, judge_settings
from cody_oai_router.settings import Refusal


def test_where_everything_is_set() -> None:
    settings = msgspec.structs.replace(
        settings_of(),
        origins={"PORT": "/home/u/.env", "SOURCEGRAPH_API_TOKEN": "the environment", "CA_FILE": "/home/u/.env"},
    )
    check = judge_settings(settings, ())
    assert check == Check(
        "configuration",
        "ok",
        "https://sourcegraph.example.com; CA_FILE, PORT from /home/u/.env; SOURCEGRAPH_API_TOKEN from the environment",
    )


def test_warnings_and_notices_are_told() -> None:
    settings = settings_of(SOURCEGRAPH_BASE_URL="https://sourcegraph.com")
    check = judge_settings(settings, ["WARNING: open file"])
    assert check.status == "warning"
    assert check.advice.splitlines() == ["WARNING: open file", *settings.notices]
    assert "no longer serves Cody" in check.advice


@pytest.mark.parametrize(
    ("refusal", "check"),
    [
        (Refusal(("PORT: wrong.", "HOST: wrong.")), Check("configuration", "failed", "PORT: wrong.", "HOST: wrong.")),
        (Refusal((), token_missing=True), Check("configuration", "failed", "No token.", "Get one.")),
        (
            Refusal((), token_missing=True, hints=("SRC_ENDPOINT is not used.",)),
            Check("configuration", "failed", "SRC_ENDPOINT is not used.", "No token.\nGet one."),
        ),
    ],
)
def test_everything_that_is_wrong_is_told(refusal: Refusal, check: Check) -> None:
    assert judge_refusal(refusal, ["No token.", "Get one."]) == check
