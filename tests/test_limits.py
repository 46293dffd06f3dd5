"""Every clock and bound is one variable's, and a wrong value is refused without losing the others."""

import msgspec
import pytest

from cody_oai_router.limits import Limits, Timeouts, read_limits, read_timeouts
from cody_oai_router.notation import Wrong
from cody_oai_router.reading import Reading, Source
from cody_oai_router.variables import VARIABLES


def reading(**values: str) -> Reading:
    return Reading([Source("environment", "the environment", values)], lambda _: Wrong("no file"))


@pytest.mark.parametrize(("group", "kind"), [("Time", Timeouts), ("Limits", Limits)])
def test_each_field_has_a_variable_of_its_own(group: str, kind: type[msgspec.Struct]) -> None:
    rows = [variable for variable in VARIABLES if variable.group == group]
    found = reading(**{row.name: str(100 + number) for number, row in enumerate(rows)})
    read = read_timeouts(found) if kind is Timeouts else read_limits(found)
    values = sorted(msgspec.structs.asdict(read).values())
    assert values == [100 + number for number in range(len(rows))]
    assert len(kind.__struct_fields__) == len(rows)


def test_a_wrong_value_is_named_and_the_default_stands_in() -> None:
    found = reading(IDLE_TIMEOUT="never", HEAD_HOLD="1")
    assert (read_timeouts(found).idle, read_timeouts(found).head_hold) == (60.0, 1.0)
    assert set(found.lines) == {
        "IDLE_TIMEOUT: 'never' is not a duration: give a number of seconds above 0, such as 60 or 2.5 (from the environment)."
    }
