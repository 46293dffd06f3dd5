"""GraphQL answers what a client asks of its account, in GraphQL's manner."""

from cody_oai_router.simulator import Simulator
from cody_oai_router.simulator.graphql import execute


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
