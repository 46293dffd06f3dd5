"""Reading variables from several sources: precedence, problems, and who may steer a secret."""

import pytest

from cody_oai_router.credentials import Secret, read_token
from cody_oai_router.notation import Wrong, read_port
from cody_oai_router.reading import File, Found, Place, Reading, Source


def files(known: dict[str, str]) -> Reading:
    return Reading([Source("environment", "the environment", known)], lambda path: File(path, "sgp_01"))


def test_the_first_source_wins_and_an_empty_value_counts_as_unset() -> None:
    flags = Source("flags", "the command line", {"PORT": " "})
    environment = Source("environment", "the environment", {"PORT": "1\r"})
    reading = Reading([flags, environment, Source("user", "u", {"PORT": "2"})], lambda _: Wrong("none"))
    assert reading.find("PORT") == Found("PORT", "1", environment)
    assert reading.value("PORT", read_port) == 1
    assert list(reading.used) == ["PORT"]


def test_a_wrong_value_is_noted_once_and_its_default_stands_in() -> None:
    reading = files({"PORT": "x"})
    assert reading.value("PORT", read_port) == 3000
    assert reading.lines == ["PORT: 'x' is not a port: give a whole number from 0 to 65535 (from the environment)."]


def test_a_wrong_default_in_the_table_is_a_bug() -> None:
    with pytest.raises(TypeError, match="the table's default of NO_PROXY is wrong: '' is not a port"):
        files({}).value("NO_PROXY", read_port)


def test_lower_case_spellings_count_and_the_upper_case_wins() -> None:
    assert (found := files({"https_proxy": "a"}).find("HTTPS_PROXY"))
    assert (found.name, found.value) == ("https_proxy", "a")
    assert (found := files({"https_proxy": "a", "HTTPS_PROXY": "b"}).find("HTTPS_PROXY"))
    assert found.value == "b"


def test_a_pair_comes_from_one_source() -> None:
    half = Source("environment", "the environment", {"A": "1"})
    whole = Source("user", "u", {"A": "2", "B": "3"})
    reading = Reading([half, whole], lambda _: Wrong("none"))
    assert reading.find_pair("A", "B") == (Found("A", "2", whole), Found("B", "3", whole))
    assert reading.find_pair("A", "C") is None


def test_a_prefix_alone_is_no_variable() -> None:
    reading = files({"SRC_HEADER_": "x", "SRC_HEADER_B": "b", "SRC_HEADER_A": "a", "SRC_HEADER_C": "", "OTHER": "o"})
    assert [found.name for found in reading.find_prefixed("SRC_HEADER_")] == ["SRC_HEADER_A", "SRC_HEADER_B"]


def secret_from(*sources: Source, text: str = "sgp_01") -> tuple[Secret | None, list[str]]:
    reading = Reading(sources, lambda path: File(f"/whole{path}", text))
    secret, _ = reading.secret("SOURCEGRAPH_API_TOKEN", read_token)
    return secret, reading.lines


TOKEN, IN_FILE = "SOURCEGRAPH_API_TOKEN", "SOURCEGRAPH_API_TOKEN_FILE"


def test_a_secret_in_a_file() -> None:
    environment = Source("environment", "the environment", {IN_FILE: "relative"})
    assert secret_from(environment) == (Secret("sgp_01"), [])
    assert secret_from(environment, text="\r\nsgp_02\n") == (Secret("sgp_02"), [])
    assert secret_from(environment, text=" \n") == (
        None,
        [f"{IN_FILE}: the file is empty (in /wholerelative) (from the environment)."],
    )
    assert secret_from(environment, text="<token>")[1] == [
        (
            f"{IN_FILE}: it is still a placeholder: put your own access token (sgp_...) there (in /wholerelative) "
            "(from the environment)."
        )
    ]


def test_a_secret_and_its_file_in_one_source_are_one_too_many() -> None:
    both = Source("environment", "the environment", {TOKEN: "sgp_01", IN_FILE: "/f"})
    assert secret_from(both)[1] == [f"{TOKEN} and {IN_FILE} are both set (from the environment): set only one."]


def test_the_more_trusted_of_a_secret_and_its_file_wins() -> None:
    direct, named = {TOKEN: "sgp_direct"}, {IN_FILE: "/f"}
    first = Source("environment", "the environment", named), Source("user", "u", direct)
    assert secret_from(*first) == (Secret("sgp_01"), [])
    second = Source("environment", "the environment", direct), Source("user", "u", named)
    assert secret_from(*second) == (Secret("sgp_direct"), [])


@pytest.mark.parametrize("path", ["/etc/hostname", "~/.ssh/id", "token", "C:\\t"])
def test_the_working_directory_may_not_name_files_of_secrets(path: str) -> None:
    source = Source("directory", "/r/.env", {IN_FILE: path, "SOURCEGRAPH_BASE_URL": "https://evil.example"})
    assert secret_from(source) == (
        None,
        [f"{IN_FILE}: a .env in the working directory may not name files to read secrets from (from /r/.env)."],
    )


@pytest.mark.parametrize(
    ("place", "path", "taken"),
    [
        ("environment", "relative", True),
        ("flags", "relative", True),
        ("user", "relative", False),
        ("beside", "relative", False),
        ("user", "~/token", True),
        ("user", "/token", True),
        ("user", "C:\\token", True),
        ("user", "\\\\host\\share\\token", True),
        ("user", "C:token", False),
    ],
)
def test_a_relative_path_is_for_the_one_who_knows_where_he_is(place: Place, path: str, taken: bool) -> None:
    secret, lines = secret_from(Source(place, "s", {IN_FILE: path}))
    assert (secret is not None) is taken
    why = f"{IN_FILE}: {path!a} depends on the working directory: give the whole path, or ~/... (from s)."
    assert lines == ([] if taken else [why])


def test_a_file_that_cannot_be_read_is_reported() -> None:
    reading = Reading(
        [Source("environment", "the environment", {IN_FILE: "/f"})], lambda path: Wrong(f"there is no file {path}")
    )
    assert reading.secret(TOKEN, read_token)[0] is None
    assert reading.lines == [f"{IN_FILE}: there is no file /f (from the environment)."]


PLACES: list[Place] = ["flags", "environment", "beside", "user", "directory"]


@pytest.mark.parametrize("secret", PLACES)
@pytest.mark.parametrize("steering", PLACES)
def test_nothing_steers_a_secret_from_a_more_trusted_place(secret: Place, steering: Place) -> None:
    reading = Reading([], lambda _: Wrong("none"))
    token = Found("T", "t", Source(secret, secret, {}))
    reading.check_trust(token, [Found("U", "u", Source(steering, steering, {}))])
    level = {"flags": 0, "environment": 0, "beside": 1, "user": 2, "directory": 3}
    line = (
        f"U from {steering} would decide about T from {secret}, which is trusted more: "
        "set both in the same place, or remove U."
    )
    assert reading.lines == ([line] if level[steering] > level[secret] else [])
