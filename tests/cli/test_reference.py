"""What is written from the table: the committed files are the generated ones, and nothing of the table is missing."""

from pathlib import Path

import pytest

from cody_oai_router.cli.reference import configuration_page, env_example, generated, variables_help, write_files
from cody_oai_router.cli.sources import read_env_file
from cody_oai_router.variables import VARIABLES
from openai_schema import properties

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", generated())
def test_a_file_is_committed_as_generated(path: str) -> None:
    written = (PROJECT / path).read_text(encoding="utf-8")
    assert written == generated()[path], f"{path} is not what the table says: run `make env-example`"


def test_the_files_are_written(tmp_path: Path) -> None:
    write_files(tmp_path)
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {path: text.encode() for path, text in generated().items()}


def test_every_property_of_openais_request_has_a_row() -> None:
    page = generated()["docs/dialects/openai-chat.md"]
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for name in properties("CreateChatCompletionRequest"):
        assert len([row for row in rows if row.startswith(f"| `{name}` |")]) == 1, name


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
