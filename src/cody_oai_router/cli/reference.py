"""What is written from tables: `--help`, `.env.example` and pages of `docs/`.

`python -m cody_oai_router.cli.reference` writes the files into the working directory, which is the project's.
"""

import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from cody_oai_router.dialects.openai_chat.parameters import PARAMETERS, Parameter
from cody_oai_router.notes import DROPPED_FIELDS, NOTES
from cody_oai_router.variables import VARIABLES, Variable

_WIDTH: Final = 100
# Left uncommented in the example: whoever copies it has to fill these in.
_TO_FILL_IN: Final = ("SOURCEGRAPH_BASE_URL", "SOURCEGRAPH_API_TOKEN")

_EXAMPLE_HEAD: Final = """\
# Settings of Cody OAI Router. Copy this file to .env and fill in the first two; save it as UTF-8.
# An empty value means unset. The environment wins over this file. docs/configuration.md says more.
"""

_PAGE_HEAD: Final = """\
# Configuration

This page is written from the table in `src/cody_oai_router/variables.py` by `make env-example`.

## Where settings come from

The first source that sets a variable wins:

1. flags (`--port`, `--host`, `--base-url`, `--log-format`), never for secrets;
2. the environment;
3. `.env` beside the executable (binaries only; beside the file itself, not a link to it);
4. `.env` in your configuration folder: `~/.config/cody-oai-router/` on Linux (or under `$XDG_CONFIG_HOME`),
   `~/Library/Application Support/cody-oai-router/` on macOS, `%APPDATA%\\cody-oai-router\\` on Windows;
5. `.env` in the working directory (not for binaries);
6. the default.

An empty value means unset. A `.env` is UTF-8 text of lines `NAME=value`; quotes and a leading `export` are allowed,
`$NAME` is not expanded. Start-up says which source set what, and refuses (exit code 2) what it cannot use, one line
each.

The order is also one of trust. A variable marked *steers* decides where your token travels or who may use it, and is
never taken from a less trusted source than the token, or than extra headers, which may hold credentials: a `.env` in a
repository that you cloned cannot send the token of your environment to another address. The router then refuses to
start and names both. For the same reason a `.env` in the working directory may not name files to read secrets from.

Durations are in seconds (`2.5`), sizes in bytes or with a suffix (`64KB`, `64MB`).
"""

_NOTES_HEAD: Final = """\
# Adaptations

Sourcegraph's LLM API is almost OpenAI's. Whatever the router had to change of a request or an answer it reports in the
response header `x-router-adapted`, in the words below; what it learns only after the head of a stream is in a last
comment of the stream (`: x-router-adapted: ...`). A default that fills a gap is no change. The words are fixed: they
never hold anything that the client wrote.

This page is written from the table in `src/cody_oai_router/notes.py` by `make env-example`.

| note | what it means |
|---|---|
"""

_CHAT_HEAD: Final = """\
# OpenAI's chat completions

What becomes of each parameter of `POST /v1/chat/completions`. *Carried*: the instance gets it. *Emulated*: no endpoint takes
it, so the router keeps it. *Dropped*: left out, and told. *Refused*: a 400 that says why. What was changed for a request is
told in the header `x-router-adapted` or, where that had to leave before, in a last comment of the stream
([all words](../adaptations.md)); which endpoint of which version carries what is in [compatibility](../compatibility.md).

This page is written from the table in `src/cody_oai_router/dialects/openai_chat/parameters.py` by `make env-example`.

## Request

A parameter that is null is the same as one that is absent. One that OpenAI does not have is left out (`unknown-field:dropped`),
except those at the end of this section.

| parameter | treatment | how | told as |
|---|---|---|---|
"""

_CHAT_BEYOND: Final = """
Beside these, some that other servers and clients have:

| field | what becomes of it |
|---|---|
"""

_CHAT_REST: Final = """
## Messages

* Roles: `system`, `developer`, `user`, `assistant`, `tool`, `function`, in any order. What an endpoint does not know of them goes
  in tags in a message of the user.
* Content: a string, null, absent, or a list of parts, for every role. `text` and `refusal` parts go as text; `image_url` goes to
  Cody's stream (5.8 and later) as a `data:` URL of image/png, image/jpeg, image/webp or image/gif, of a system message and of a
  tool's result in a message of the user. Any other image, an image of the assistant's or for a model without vision, and parts of other
  types (`input_audio`, `file`) are a 400 that says what works.
* `tool_calls`, `tool_call_id` and legacy `function_call` are carried, as text where an endpoint does not take them. `cache_control` of a
  text part, or of a message, whose last text it goes to, is carried on Cody's stream (6.1 and later), except in a tool's result. `name`
  goes to the LLM API. Other fields are left out.
* What an assistant thought before (`<think>…</think>` at the head of its text, `reasoning_content`) is not sent back. Its `refusal` goes
  as its text.

## Answer

OpenAI's objects, which the tests check against its own description of the API and against its SDK. Fields beyond it:
`message.reasoning_content` and `delta.reasoning_content` (what a model thought), and in `usage` `credits` (Sourcegraph's own unit),
`billed_tokens` (all that several choices took), `estimated` (nobody counted: worked out from the size of the texts) and
`prompt_tokens_details.cache_creation_input_tokens`.

An answer that does not keep what it had to (`tool_choice`, `response_format`) is a 422, which the SDKs do not repeat by themselves. A
stream that fails after its head ends with an error event, without `[DONE]`, and with the connection broken.
"""


def variables_help() -> str:
    """The table as `--help` shows it."""
    lines = ["variables, from the environment or a .env file (secrets are never flags):"]
    for variable in VARIABLES:
        text = variable.help + (f" [{variable.default}]" if variable.default else "")
        lines.append(f"  {variable.name}")
        lines.extend(textwrap.wrap(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6))
    return "\n".join(lines)


def env_example() -> str:
    """The text of `.env.example`."""
    parts = [_EXAMPLE_HEAD]
    for group, variables in groupby(VARIABLES, key=lambda variable: variable.group):
        parts.append(f"\n# ---- {group} ----\n")
        parts.extend(f"\n{_example(variable)}" for variable in variables)
    return "".join(parts)


def _example(variable: Variable) -> str:
    comment = "".join(f"# {line}\n" for line in textwrap.wrap(variable.help, _WIDTH))
    if variable.name in _TO_FILL_IN:
        return f"{comment}{variable.name}=\n"
    return f"{comment}# {variable.name}={variable.default}\n"


def configuration_page() -> str:
    """The text of `docs/configuration.md`."""
    return _PAGE_HEAD + "".join(_tables())


def adaptations_page() -> str:
    """The text of `docs/adaptations.md`."""
    rows = sorted(NOTES.items())
    return _NOTES_HEAD + "".join(f"| `{note}` | {meaning} |\n" for note, meaning in rows)


def chat_page() -> str:
    """The text of `docs/dialects/openai-chat.md`."""
    rows = "".join(_parameter(name, parameter) for name, parameter in sorted(PARAMETERS.items()))
    beyond = sorted(DROPPED_FIELDS.keys() - PARAMETERS.keys())
    return (
        _CHAT_HEAD
        + rows
        + _CHAT_BEYOND
        + "".join(f"| `{name}` | {DROPPED_FIELDS[name]} |\n" for name in beyond)
        + _CHAT_REST
    )


def _parameter(name: str, parameter: Parameter) -> str:
    told = ", ".join(f"`{note}`" for note in parameter.notes) or "-"
    return f"| `{name}` | {parameter.treatment} | {parameter.how} | {told} |\n"


def _tables() -> Iterator[str]:
    for group, variables in groupby(VARIABLES, key=lambda variable: variable.group):
        yield f"\n## {group}\n\n| variable | default | meaning |\n|---|---|---|\n"
        yield from map(_row, variables)


def _row(variable: Variable) -> str:
    name = " or ".join(f"`{spelling}`" for spelling in (variable.name, *variable.spellings))
    flag = f", `{variable.flag}`" if variable.flag else ""
    default = " ".join(filter(None, (f"`{variable.default}`", variable.unit))) if variable.default else "-"
    marks = [mark for mark, holds in (("secret", variable.secret), ("steers", variable.steers)) if holds]
    meaning = " ".join([variable.help, *([f"*{', '.join(marks)}*"] if marks else [])]).replace("|", "\\|")
    return f"| {name}{flag} | {default} | {meaning} |\n"


def generated() -> dict[str, str]:
    """Give every file that comes from a table, by its path in the project."""
    return {
        ".env.example": env_example(),
        "docs/configuration.md": configuration_page(),
        "docs/adaptations.md": adaptations_page(),
        "docs/dialects/openai-chat.md": chat_page(),
    }


def write_files(project: Path) -> None:
    """Write the generated files of the project."""
    for path, text in generated().items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_files(Path.cwd())
