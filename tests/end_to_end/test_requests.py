"""What travels to Sourcegraph and what does not: headers, roles, fields, byte for byte."""

import json
from typing import Any

import pytest

from cody_oai_router import __version__
from cody_oai_router.simulator import DEMO_TOKEN
from end_to_end.harness import (
    CHAT_PATH,
    GPT,
    SONNET,
    ask,
    both,
    chat,
    chats,
    exchange,
    request,
    router,
    run,
    simulated,
    words,
)

OURS = f"cody-oai-router {__version__}"
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}


OTHER = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}


def asked_in_words(words: str) -> dict[str, str]:
    """The question with what no endpoint takes as a field."""
    return {"role": "user", "content": f"Hi\n\n{words}"}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": True}}


def common_headers(port: int, accept: str, length: int) -> list[tuple[str, str]]:
    return [
        ("host", f"127.0.0.1:{port}"),
        ("authorization", f"token {DEMO_TOKEN}"),
        ("user-agent", OURS),
        ("x-requested-with", OURS),
        ("accept-encoding", "identity"),
        ("x-timeout-ms", "3600000"),
        ("content-type", "application/json"),
        ("accept", accept),
        ("content-length", str(length)),
    ]


@pytest.mark.parametrize(
    ("fields", "accept"),
    [
        ({"stream": True}, "text/event-stream"),
        ({}, "text/event-stream"),
        ({"tools": [TOOL]}, "application/json"),
    ],
    ids=["stream", "folded", "whole"],
)
def test_only_the_necessary_headers_travel(fields: dict[str, Any], accept: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            sent = request(
                chat(**fields),
                path="/v1/chat/completions?secret=query&api-version=1",
                headers=[
                    ("Authorization", "Bearer sk-client-key"),
                    ("X-Api-Key", "client-key"),
                    ("Cookie", "session=client"),
                    ("User-Agent", "OpenAI/Python 9.9"),
                    ("X-Stainless-Lang", "python"),
                    ("OpenAI-Organization", "org-1"),
                    ("Accept-Encoding", "gzip, br"),
                    ("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                    ("X-Forwarded-For", "10.1.2.3"),
                ],
            )
            answer = await exchange(running, sent)
            assert answer.status == 200
            (received,) = chats(simulator)
            assert (received.method, received.target, received.version) == ("POST", CHAT_PATH, "HTTP/1.1")
            port = int((received.header("Host") or "").rpartition(":")[2])
            found = [(name.lower(), value) for name, value in received.headers]
            assert found == common_headers(port, accept, len(received.body))

    run(scenario())


def test_the_listing_is_asked_with_the_same_headers_and_no_body() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            await ask(running)
            for received in simulator.received[:2]:
                port = int((received.header("Host") or "").rpartition(":")[2])
                expected = [
                    (name, "application/json" if name == "accept" else value)
                    for name, value in common_headers(port, "", 0)
                    if name not in {"content-type", "content-length"}
                ]
                assert [(name.lower(), value) for name, value in received.headers] == expected
                assert (received.method, received.body) == ("GET", b"")
            paths = {received.target for received in simulator.received[:2]}
            assert paths == {"/.api/llm/models", "/.api/modelconfig/supported-models.json"}

    run(scenario())


def test_an_oauth_token_goes_as_bearer() -> None:
    async def scenario() -> None:
        variables = {"SOURCEGRAPH_API_TOKEN": "oauth-access-token-1"}
        async with both(token="oauth-access-token-1", variables=variables) as (simulator, running):
            assert (await ask(running)).status == 200
            assert chats(simulator)[0].header("Authorization") == "Bearer oauth-access-token-1"

    run(scenario())


def test_the_headers_of_src_travel_and_the_total_time_is_announced() -> None:
    async def scenario() -> None:
        variables = {
            "SRC_HEADERS": "X-Company-Proxy:yes\\nCF-Access-Client-Id:robot",
            "SRC_HEADER_X-Other": "too",
            "TOTAL_TIMEOUT": "90",
        }
        async with both(variables=variables) as (simulator, running):
            assert (await ask(running)).status == 200
            (received,) = chats(simulator)
            assert received.header("X-Company-Proxy") == "yes"
            assert received.header("CF-Access-Client-Id") == "robot"
            assert received.header("X-Other") == "too"
            assert received.header("X-Timeout-Ms") == "90000"

    run(scenario())


def test_the_variables_of_src_work_as_a_pair() -> None:
    async def scenario() -> None:
        async with simulated(token="sgp_of_src") as (simulator, port):
            variables = {
                "SOURCEGRAPH_BASE_URL": "",
                "SOURCEGRAPH_API_TOKEN": "",
                "SRC_ENDPOINT": f"http://127.0.0.1:{port}/",
                "SRC_ACCESS_TOKEN": "sgp_of_src",
            }
            async with router(port, variables) as running:
                assert (await ask(running)).status == 200
            assert chats(simulator)[0].header("Authorization") == "token sgp_of_src"

    run(scenario())


def test_a_path_of_the_base_url_is_a_prefix() -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port):
            variables = {"SOURCEGRAPH_BASE_URL": f"http://127.0.0.1:{port}/sourcegraph//"}
            async with router(port, variables) as running:
                assert (await ask(running)).status == 404
            assert {received.target for received in simulator.received} == {
                "/sourcegraph/.api/llm/models",
                "/sourcegraph/.api/client-config",
                "/sourcegraph/.api/graphql?ContextFilters",
                "/sourcegraph/.api/graphql?ProductVersion",
                "/sourcegraph/healthz",
                "/sourcegraph/.api/modelconfig/supported-models.json",
                "/sourcegraph/.api/llm/chat/completions",
            }

    run(scenario())


ROLES = [
    ("user", [USER], [USER], []),
    (
        "system",
        [{"role": "system", "content": 'Be "kind".'}, USER],
        [{"role": "user", "content": '<SYSTEM_PROMPT>Be "kind".</SYSTEM_PROMPT>'}, USER],
        ["system:wrapped"],
    ),
    (
        "developer",
        [{"role": "developer", "content": "Be kind."}, USER],
        [{"role": "user", "content": "<SYSTEM_PROMPT>Be kind.</SYSTEM_PROMPT>"}, USER],
        ["developer:wrapped"],
    ),
    (
        "system-parts",
        [{"role": "system", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]}, USER],
        [{"role": "user", "content": "<SYSTEM_PROMPT>AB</SYSTEM_PROMPT>"}, USER],
        ["system:wrapped"],
    ),
    (
        "system-in-the-middle",
        [USER, {"role": "system", "content": "Now rhyme."}, {"role": "user", "content": "Go"}],
        [
            USER,
            {"role": "user", "content": "<SYSTEM_PROMPT>Now rhyme.</SYSTEM_PROMPT>"},
            {"role": "user", "content": "Go"},
        ],
        ["system:wrapped"],
    ),
    (
        "tool",
        [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "4 °C"},
        ],
        [
            USER,
            {"role": "assistant", "content": '(called get_weather with {"city":"Oslo"})'},
            {"role": "user", "content": "<TOOL_RESULT>4 °C</TOOL_RESULT>"},
        ],
        ["tool-calls:as-text", "tool:wrapped"],
    ),
    (
        "function",
        [USER, {"role": "function", "name": "get_weather", "content": "4"}],
        [USER, {"role": "user", "content": "<TOOL_RESULT>4</TOOL_RESULT>"}],
        ["function:wrapped"],
    ),
    (
        "parts-stay-parts",
        [{"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]}],
        [{"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]}],
        [],
    ),
    (
        "assistant",
        [USER, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Go on"}],
        [USER, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Go on"}],
        [],
    ),
    (
        "null",
        [{"role": "user", "content": None}],
        [{"role": "user", "content": "(empty)"}],
        ["content:filled"],
    ),
    (
        "absent",
        [USER, {"role": "assistant"}, USER],
        [USER, {"role": "assistant", "content": "(empty)"}, USER],
        ["content:filled"],
    ),
    (
        "empty",
        [{"role": "user", "content": ""}, USER],
        [{"role": "user", "content": "(empty)"}, USER],
        ["content:filled"],
    ),
    (
        "empty-parts",
        [{"role": "user", "content": []}, {"role": "user", "content": [{"type": "text", "text": ""}]}, USER],
        [{"role": "user", "content": "(empty)"}, {"role": "user", "content": "(empty)"}, USER],
        ["content:filled"],
    ),
    (
        "name",
        [{"role": "user", "name": "ada", "content": "Hi"}],
        [{"role": "user", "content": "Hi", "name": "ada"}],
        [],
    ),
    (
        "neighbours-are-not-merged",
        [USER, USER, {"role": "assistant", "content": "A"}, {"role": "assistant", "content": "B"}, USER],
        [USER, USER, {"role": "assistant", "content": "A"}, {"role": "assistant", "content": "B"}, USER],
        [],
    ),
]


@pytest.mark.parametrize(("given", "sent", "adapted"), [row[1:] for row in ROLES], ids=[row[0] for row in ROLES])
def test_one_message_in_is_one_message_out(given: Any, sent: Any, adapted: list[str]) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            answer = await ask(running, messages=given, model=SONNET, stream=True)
            answer.assert_whole()
            assert chats(simulator)[0].json["messages"] == sent
            assert words(answer) == adapted

    run(scenario())


def test_every_text_arrives_byte_for_byte() -> None:
    spelled = rb'{"model":"gpt-4o","messages":[{"role":"system","content":"\u00e9\/\t'
    spelled += "\U0001f600".encode() + rb' \ud83d\ude00"},{"role":"user","content":"<\u003c>"}]}'

    async def scenario() -> None:
        async with both() as (simulator, running):
            assert (await exchange(running, request(spelled))).status == 200
            assert chats(simulator)[0].body == (
                rb'{"model":"openai::2024-02-01::gpt-4o","messages":[{"role":"user","content":"<SYSTEM_PROMPT>\u00e9\/\t'
                + "\U0001f600".encode()
                + rb' \ud83d\ude00</SYSTEM_PROMPT>"},{"role":"user","content":"<\u003c>"}],'
                rb'"max_tokens":16000,"stream":true}'
            )

    run(scenario())


FIELDS: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("max_tokens", {"max_tokens": 77}, {"max_tokens": 77}, []),
    ("max_completion_tokens", {"max_completion_tokens": 77}, {"max_tokens": 77}, ["max_completion_tokens:renamed"]),
    (
        "sampling",
        {"temperature": 0.5, "top_p": 1, "stop": ["A", "B"]},
        {"temperature": 0.5, "top_p": 1, "stop": ["A", "B"]},
        [],
    ),
    ("stop", {"stop": "END"}, {"stop": ["END"]}, ["stop:listed"]),
    ("nulls", {"stop": None, "temperature": None, "tools": None, "max_tokens": None, "n": None}, {}, ["nulls:dropped"]),
    ("n", {"n": 1}, {}, []),
    ("stream_options", {"stream_options": {"include_usage": True}}, {}, ["stream_options:dropped"]),
    ("seed", {"seed": 1}, {}, ["seed:dropped"]),
    ("service_tier", {"service_tier": "auto"}, {}, ["service_tier:dropped"]),
    ("response_format", {"response_format": {"type": "text"}}, {}, []),
    ("user", {"user": "ada"}, {}, ["user:dropped"]),
    (
        "penalties",
        {"frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}},
        {},
        ["frequency_penalty:dropped", "logit_bias:dropped", "presence_penalty:dropped"],
    ),
    ("logprobs", {"logprobs": False, "top_logprobs": 0}, {}, ["logprobs:dropped", "top_logprobs:dropped"]),
    ("modalities", {"modalities": ["text"]}, {}, ["modalities:dropped"]),
    ("metadata", {"metadata": {"a": "b"}, "store": False}, {}, ["metadata:dropped", "store:dropped"]),
    ("unknown", {"sg_secret_word": "value"}, {}, ["unknown-field:dropped"]),
    ("tools", {"tools": [TOOL]}, {"tools": [TOOL]}, []),
    ("tool_choice", {"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL]}, []),
    (
        "tool_choice-none",
        {"tools": [TOOL], "tool_choice": "none"},
        {},
        ["tools:withheld"],
    ),
    ("tool_choice-of-nothing", {"tool_choice": "none"}, {}, ["tool_choice:dropped"]),
    (
        "tool_choice-named",
        {"tools": [TOOL, OTHER], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
        {"tools": [TOOL], "messages": [asked_in_words('Answer by calling the tool "get_weather".')]},
        ["stream:held", "tool_choice:instructed", "tools:narrowed"],
    ),
    (
        "tool_choice-allowed",
        {"tools": [TOOL, OTHER], "tool_choice": allowed("auto", "get_time")},
        {"tools": [OTHER]},
        ["tools:narrowed"],
    ),
    (
        "tool_choice-one-of-the-allowed",
        {"tools": [TOOL, OTHER], "tool_choice": allowed("required", "get_time", "get_weather")},
        {
            "tools": [TOOL, OTHER],
            "messages": [asked_in_words('Answer by calling at least one of the tools "get_weather" and "get_time".')],
        },
        ["stream:held", "tool_choice:instructed"],
    ),
    (
        "parallel_tool_calls",
        {"tools": [TOOL], "parallel_tool_calls": True},
        {"tools": [TOOL]},
        [],
    ),
    (
        "parallel_tool_calls-false",
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tools": [TOOL], "messages": [asked_in_words("Call at most one tool in this answer.")]},
        ["parallel_tool_calls:instructed"],
    ),
    ("parallel_tool_calls-of-nothing", {"parallel_tool_calls": False}, {}, []),
    (
        "prediction",
        {"prediction": {"type": "content", "content": "Hello"}},
        {},
        ["prediction:dropped"],
    ),
    (
        "bare-tool",
        {"tools": [{"type": "function", "function": {"name": "now"}}]},
        {
            "tools": [
                {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
            ]
        },
        ["tools:schema-filled"],
    ),
    (
        "functions",
        {"functions": [TOOL["function"]]},
        {"tools": [TOOL]},
        ["functions:as-tools"],
    ),
]


@pytest.mark.parametrize(("given", "sent", "adapted"), [row[1:] for row in FIELDS], ids=[row[0] for row in FIELDS])
@pytest.mark.parametrize("profile", ["6.1", "6.12"])
def test_fields_are_sent_renamed_or_left_out(
    profile: str, given: dict[str, Any], sent: dict[str, Any], adapted: list[str]
) -> None:
    async def scenario() -> None:
        async with both(profile) as (simulator, running):
            answer = await ask(running, "Hi", stream=True, model=GPT, **given)
            answer.assert_whole()
            expected = {"model": GPT, "messages": [USER], "max_tokens": 16000, "stream": True} | sent
            assert chats(simulator)[0].json == expected
            assert words(answer) == adapted

    run(scenario())


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"n": 9}, "n"),
        ({"n": 0}, "n"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"temperature": 3}, "temperature"),
        ({"stop": ["1", "2", "3", "4", "5"]}, "stop"),
        ({"messages": []}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "messages[0].content[0]",
        ),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "nobody"}}}, "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        ({"response_format": strict({"type": "object", "properties": {"a": {"type": "text"}}})}, "response_format"),
        ({"response_format": strict({"$ref": "https://example.com/schema.json"})}, "response_format"),
    ],
)
def test_what_cannot_be_carried_is_refused_before_anything_is_asked(given: dict[str, Any], param: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            answer = await ask(running, "Hi", **given)
            assert answer.status == 400
            assert answer.error["type"] == "invalid_request_error"
            assert answer.error["param"] == param
            assert chats(simulator) == []

    run(scenario())


@pytest.mark.parametrize(
    ("model", "variables", "listing", "tokens"),
    [
        ("gpt-4o", {}, "full", 16000),
        ("claude-sonnet-4-5-thinking-latest", {}, "full", 64000),
        (GPT, {}, "unlisted", 4000),
        (GPT, {"DEFAULT_MAX_TOKENS": "123"}, "unlisted", 123),
        ("anthropic::2024-10-22::claude-sonnet-4-5-thinking-latest", {}, "unlisted", 32000),
        ("openai::2024-02-01::o3", {"DEFAULT_MAX_TOKENS_REASONING": "2048"}, "unlisted", 2048),
    ],
)
def test_max_tokens_is_always_sent(model: str, variables: dict[str, str], listing: str, tokens: int) -> None:
    async def scenario() -> None:
        async with both(listing=listing, variables=variables) as (simulator, running):
            (await ask(running, model=model, stream=True)).assert_whole()
            assert chats(simulator)[0].json["max_tokens"] == tokens

    run(scenario())


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/v1/chat/completions", "/v1/v1/chat/completions", "/chat/completions/"]
)
def test_the_chat_route_has_many_spellings(path: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            answer = await exchange(running, request(chat(), path=path))
            assert answer.status == 200
            assert answer.json["choices"][0]["message"]["content"] == "You said: Hello there"
            assert chats(simulator)[0].target == CHAT_PATH

    run(scenario())


def test_a_pinned_end_point_is_what_is_asked() -> None:
    async def scenario() -> None:
        variables = {"SOURCEGRAPH_END_POINT": "/.api/llm/other/completions"}
        async with both(variables=variables) as (simulator, running):
            assert (await ask(running)).status == 404
            assert simulator.received[-1].target == "/.api/llm/other/completions"

    run(scenario())


def test_a_body_in_chunks_is_read_like_any_other() -> None:
    async def scenario() -> None:
        body = json.dumps(chat("In pieces")).encode()
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        async with both() as (_, running):
            answer = await exchange(running, head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")
            assert answer.json["choices"][0]["message"]["content"] == "You said: In pieces"

    run(scenario())
