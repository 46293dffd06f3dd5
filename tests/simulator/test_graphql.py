"""GraphQL answers what a client asks of its account, in GraphQL's manner."""

from typing import Any

import pytest

from cody_oai_router.simulator import Simulator
from cody_oai_router.simulator.graphql import FILTERS, execute


def test_who_and_which_version() -> None:
    query = (
        "query CurrentUser { currentUser { username primaryEmail { email } } site { productVersion isCodyEnabled } }"
    )
    assert execute(query, Simulator("6.1").instance) == {
        "data": {
            "currentUser": {"username": "demo", "primaryEmail": {"email": "demo@example.com"}},
            "site": {"productVersion": "6.1.2889", "isCodyEnabled": True},
        }
    }


def test_an_unknown_field_is_a_list_of_errors() -> None:
    query = "{ currentUser { codySubscription { status } } nothing }"
    assert execute(query, Simulator().instance) == {
        "errors": [
            {"message": 'Cannot query field "codySubscription" on type "User".'},
            {"message": 'Cannot query field "nothing" on type "Query".'},
        ]
    }


CONTEXT_FILTERS = "query Filters { site { codyContextFilters(version: V1) { raw } productVersion } }"


@pytest.mark.parametrize(("filters", "answer"), [(False, None), (True, {"raw": FILTERS})])
def test_context_filters(filters: bool, answer: Any) -> None:
    data = execute(CONTEXT_FILTERS, Simulator("6.12", context_filters=filters).instance)
    assert data == {"data": {"site": {"codyContextFilters": answer, "productVersion": "6.12.5040"}}}


def test_context_filters_are_unknown_before_5_6() -> None:
    errors = [{"message": 'Cannot query field "codyContextFilters" on type "Site".'}]
    assert execute(CONTEXT_FILTERS, Simulator("5.4", context_filters=True).instance) == {"errors": errors}


@pytest.mark.parametrize(
    "query",
    [
        "query Q($v: V = {a: 1}, $s: String!) { site { productVersion } }",
        'query Q { site(id: "a ) } \\" {", deep: {a: 1}) { productVersion } }',
        "{ site { productVersion(format: LONG) } }",
        "{ site { productVersion ",
    ],
)
def test_arguments_are_read_past(query: str) -> None:
    assert execute(query, Simulator("6.1").instance) == {"data": {"site": {"productVersion": "6.1.2889"}}}


def test_nobody_in_particular() -> None:
    query = "{ currentUser { username primaryEmail { email } } site { productVersion } }"
    data = execute(query, Simulator("dotcom-dead").instance, anonymous=True)["data"]
    assert data["currentUser"] is None
    assert data["site"]["productVersion"].startswith("336952_")


def test_some_fields_are_for_administrators() -> None:
    query = "{ site { codyGatewayRateLimitStatus { feature limit } } }"
    assert execute(query, Simulator().instance) == {"errors": [{"message": "must be site admin"}]}
