"""Settings to judge by."""

from typing import Final

from cody_oai_router.notation import Wrong
from cody_oai_router.reading import File, Source
from cody_oai_router.settings import Settings, read_settings

TOKEN: Final = "sgp_0123456789abcdef_0123456789abcdef0123456789abcdef01234567"


def read_file(name: str) -> File | Wrong:
    """Any file is a certificate."""
    return File(name, "-----BEGIN CERTIFICATE-----")


def settings_of(**variables: str) -> Settings:
    """Makes settings from an environment."""
    account = {"SOURCEGRAPH_BASE_URL": "https://sourcegraph.example.com", "SOURCEGRAPH_API_TOKEN": TOKEN}
    settings = read_settings([Source("environment", "the environment", account | variables)], read_file)
    assert isinstance(settings, Settings), settings
    return settings
