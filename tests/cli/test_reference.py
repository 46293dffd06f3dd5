"""What is written from the table: the committed files are the generated ones, and nothing of the table is missing."""

from pathlib import Path

from cody_oai_router.cli.reference import adaptations_page, configuration_page, env_example, variables_help, write_files
from cody_oai_router.cli.sources import read_env_file
from cody_oai_router.variables import VARIABLES

PROJECT = Path(__file__).parents[2]
_RENEW = "is not what the table says: run `make env-example`"


def test_the_example_is_committed_as_generated() -> None:
    assert (PROJECT / ".env.example").read_text(encoding="utf-8") == env_example(), f".env.example {_RENEW}"


def test_the_page_is_committed_as_generated() -> None:
    page = PROJECT / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == configuration_page(), f"docs/configuration.md {_RENEW}"


def test_the_adaptations_are_committed_as_generated() -> None:
    page = PROJECT / "docs" / "adaptations.md"
    assert page.read_text(encoding="utf-8") == adaptations_page(), f"docs/adaptations.md {_RENEW}"


def test_the_files_are_written(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    write_files(tmp_path)
    assert (tmp_path / ".env.example").read_bytes() == env_example().encode()
    assert (tmp_path / "docs" / "configuration.md").read_bytes() == configuration_page().encode()
    assert (tmp_path / "docs" / "adaptations.md").read_bytes() == adaptations_page().encode()


def test_every_variable_is_everywhere() -> None:
    for variable in VARIABLES:
        assert f"\n  {variable.name}\n" in variables_help()
        assert f"{variable.name}={variable.default}\n" in env_example() or f"\n{variable.name}=\n" in env_example()
        assert f"| `{variable.name}`" in configuration_page()


def test_a_copied_example_sets_nothing(tmp_path: Path) -> None:
    copied = tmp_path / ".env"
    copied.write_text(env_example(), encoding="utf-8")
    assert read_env_file(copied) == {"SOURCEGRAPH_BASE_URL": "", "SOURCEGRAPH_API_TOKEN": ""}


def test_everything_is_ascii_so_that_any_console_can_show_it() -> None:
    assert variables_help().isascii()
    assert env_example().isascii()
    assert max(map(len, variables_help().splitlines())) <= 100
