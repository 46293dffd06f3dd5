"""Exchanges: which road is taken, what travels for what a client sent, as text, and what a refusal changes."""

import json
from typing import Any, Literal

import msgspec
import pytest

from cody_oai_router.abilities import LLM_API, cody_stream, llm_api
from cody_oai_router.catalogue import Catalogue, Model, Resolved
from cody_oai_router.conversation import Prompt, TextPart, Turn
from cody_oai_router.dialects import openai_chat
from cody_oai_router.events import CallArguments, CallStart, Event, Stop, Text
from cody_oai_router.exchange import Again, Budgets, Plan, again, plan, resolve
from cody_oai_router.faults import EMPTY_ANSWER, HOLLOW_TOOL_CALLS, UPSTREAM_GATE, Fault
from cody_oai_router.lessons import Lesson
from cody_oai_router.roads import Road
from cody_oai_router.sourcegraph.refusals import read_fault

BUDGETS = Budgets(plain=4000, reasoning=32000)
LLM = Road("llm", 0, LLM_API)


def cody(version: int = 9) -> Road:
    return Road("cody", version, cody_stream(version))


GPT = Model(ref="openai::v1::gpt-4o", abilities=frozenset({"chat"}))
LIMITED = Model(ref="google::v1::gemini-2.0-flash", abilities=frozenset({"chat"}), max_output=8192)
SONNET = Model(ref="anthropic::v1::claude-sonnet-4-latest", abilities=frozenset({"chat"}))
THINKING = Model(ref="anthropic::v1::claude-sonnet-4-thinking-latest", abilities=frozenset({"chat", "reasoning"}))
CAPPED = Model(ref="anthropic::v1::capped-thinking", abilities=frozenset({"reasoning"}), max_output=8192)
BARE = Model(ref="anthropic::v1::bare-thinking", abilities=frozenset({"reasoning"}), max_output=16384)
ROOMY = Model(ref="anthropic::v1::roomy-thinking", abilities=frozenset({"reasoning"}), max_output=20000)
WIDE = Model(ref="anthropic::v1::wide-thinking", abilities=frozenset({"reasoning"}), max_output=64000)
MODELS = [GPT, LIMITED, SONNET, THINKING]
HI = '{"role":"user","content":"hi"}'
CALL = '{"id":"c","type":"function","function":{"name":"f","arguments":"%s"}}'
TOOL = '{"type":"function","function":{"name":"f","description":"d\\u00e9","parameters":{"type":"object"}}}'


def planned(
    request: str,
    *lessons: Lesson,
    models: list[Model] | None = None,
    aliases: dict[str, str] | None = None,
    default: str | None = None,
    road: Road = LLM,
    whole: bool = False,
) -> Plan | Fault:
    """Goes all the way from the client's bytes to the plan."""
    prompt = openai_chat.read_prompt(request.encode())
    if isinstance(prompt, Fault):
        return prompt
    catalogue = Catalogue(MODELS if models is None else models, aliases=aliases or {}, default=default)
    resolved = resolve(prompt, catalogue)
    if isinstance(resolved, Fault):
        return resolved
    return plan(prompt, resolved, road, frozenset(lessons), BUDGETS, nonce="0af", whole=whole)


def made(request: str, *lessons: Lesson, **known: Any) -> Plan:
    found = planned(request, *lessons, **known)
    assert isinstance(found, Plan)
    return found


def request(fields: str = "", messages: str = HI, model: str = GPT.ref) -> str:
    return f'{{"model":"{model}","messages":[{messages}]{"," if fields else ""}{fields}}}'


def body(fields: str = '"max_tokens":4000,"stream":true', messages: str = HI, ref: str = GPT.ref) -> str:
    return f'{{"model":"{ref}","messages":[{messages}],{fields}}}'


USUAL = '"max_tokens":4000,"stream":true'


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [
        (
            '{"role":"system","content":"C"}',
            '{"role":"user","content":"<SYSTEM_PROMPT>C</SYSTEM_PROMPT>"}',
            "system:wrapped",
        ),
        (
            '{"role":"developer","content":[{"type":"text","text":"C"},{"type":"text","text":"D"}]}',
            '{"role":"user","content":"<SYSTEM_PROMPT>CD</SYSTEM_PROMPT>"}',
            "developer:wrapped",
        ),
        (
            '{"role":"tool","tool_call_id":"c","content":"C"}',
            '{"role":"user","content":"<TOOL_RESULT>C</TOOL_RESULT>"}',
            "tool:wrapped",
        ),
        (
            '{"role":"function","name":"f","content":"C"}',
            '{"role":"user","content":"<TOOL_RESULT>C</TOOL_RESULT>"}',
            "function:wrapped",
        ),
        ('{"content":"\\u00e9 \\"x\\"","role":"user"}', '{"role":"user","content":"\\u00e9 \\"x\\""}', ""),
        ('{"role":"assistant","content":"C"}', '{"role":"assistant","content":"C"}', ""),
        (
            '{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}',
            '{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}',
            "",
        ),
        (
            '{"role":"user","content":[{"type":"text","text":"a"}]}',
            '{"role":"user","content":[{"type":"text","text":"a"}]}',
            "",
        ),
        ('{"role":"user","content":null}', '{"role":"user","content":"(empty)"}', "content:filled"),
        ('{"role":"user"}', '{"role":"user","content":"(empty)"}', "content:filled"),
        ('{"role":"user","content":""}', '{"role":"user","content":"(empty)"}', "content:filled"),
        ('{"role":"user","content":[]}', '{"role":"user","content":"(empty)"}', "content:filled"),
        (
            f'{{"role":"assistant","content":null,"tool_calls":[{CALL % ""}]}}',
            '{"role":"assistant","content":"(called f with {})"}',
            "arguments:filled, tool-calls:as-text",
        ),
        (f"{HI},{HI}", f"{HI},{HI}", ""),
        ('{"role":"user","content":"a","name":"bob"}', '{"role":"user","content":"a","name":"bob"}', ""),
    ],
)
def test_messages(given: str, sent: str, notes: str) -> None:
    found = made(request(messages=given, fields='"stream":true'))
    assert b"".join(found.body).decode() == body(messages=sent)
    assert ", ".join(found.adapted) == notes


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [
        ("", USUAL, ""),
        ('"max_tokens":7', '"max_tokens":7,"stream":true', ""),
        ('"max_completion_tokens":7', '"max_tokens":7,"stream":true', "max_completion_tokens:renamed"),
        ('"max_completion_tokens":7,"max_tokens":9', '"max_tokens":7,"stream":true', "max_completion_tokens:renamed"),
        ('"max_tokens":null,"max_completion_tokens":null', USUAL, "nulls:dropped"),
        ('"stream_options":{"include_usage":true}', USUAL, "stream_options:dropped"),
        ('"temperature":0', f'{USUAL},"temperature":0', ""),
        ('"temperature":0.2,"top_p":1', f'{USUAL},"temperature":0.2,"top_p":1', ""),
        ('"stop":["a","b"]', f'{USUAL},"stop":["a","b"]', ""),
        ('"stop":"a"', f'{USUAL},"stop":["a"]', "stop:listed"),
        ('"stop":null', USUAL, "nulls:dropped"),
        ('"stop":""', USUAL, "stop:empty-dropped"),
        ('"stop":[]', USUAL, "stop:empty-dropped"),
        ('"stop":["","a"]', f'{USUAL},"stop":["a"]', "stop:empty-dropped"),
        ('"n":1', USUAL, ""),
        ('"n":null', USUAL, "nulls:dropped"),
        ('"seed":1', USUAL, "seed:dropped"),
        ('"service_tier":"auto"', USUAL, "service_tier:dropped"),
        ('"response_format":{"type":"text"}', USUAL, ""),
        ('"user":"me"', USUAL, "user:dropped"),
        ('"frequency_penalty":1,"presence_penalty":1', USUAL, "frequency_penalty:dropped, presence_penalty:dropped"),
        ('"logit_bias":{},"logprobs":false', USUAL, "logit_bias:dropped, logprobs:dropped"),
        ('"top_logprobs":2,"logprobs":null', USUAL, "nulls:dropped, top_logprobs:dropped"),
        (f'"tools":[{TOOL}]', f'{USUAL},"tools":[{TOOL}]', ""),
        ('"tools":[]', USUAL, ""),
        (f'"tools":[{TOOL}],"tool_choice":"auto"', f'{USUAL},"tools":[{TOOL}]', ""),
        (f'"tools":[{TOOL}],"tool_choice":"none"', USUAL, "tools:withheld"),
        ('"tool_choice":"auto"', USUAL, "tool_choice:dropped"),
        ('"parallel_tool_calls":false', USUAL, ""),
        ('"reasoning":{},"thinking":{}', USUAL, "reasoning:dropped, thinking:dropped"),
        ('"cache_control":{"type":"ephemeral"}', USUAL, "cache_control:dropped"),
        ('"system":"x"', USUAL, "system:dropped"),
        (
            '"metadata":{},"store":false,"prediction":{},"modalities":["text"],"audio":{}',
            USUAL,
            "audio:dropped, metadata:dropped, modalities:dropped, prediction:dropped, store:dropped",
        ),
        ('"web_search_options":{}', USUAL, "web_search_options:dropped"),
        ('"made_up":1,"x\\r\\ny":2', USUAL, "unknown-field:dropped"),
    ],
)
def test_fields(given: str, sent: str, notes: str) -> None:
    found = made(request(fields=f'"stream":true{"," if given else ""}{given}'))
    assert b"".join(found.body).decode() == body(sent)
    assert ", ".join(found.adapted) == notes


@pytest.mark.parametrize("road", [LLM, cody(), cody(1)])
@pytest.mark.parametrize(
    ("given", "note"),
    [
        ('"response_format":{"type":"json_object"}', "response_format:instructed"),
        (f'"tools":[{TOOL}],"tool_choice":"required"', "tool_choice:instructed"),
        (f'"tools":[{TOOL}],"parallel_tool_calls":false', "parallel_tool_calls:instructed"),
    ],
)
def test_what_no_endpoint_takes_as_a_field_goes_as_words_of_the_last_message(given: str, note: str, road: Road) -> None:
    found = made(request(given), road=road)
    sent = json.loads(b"".join(found.body))
    last = sent["messages"][-1]
    assert (last.get("text") or last["content"]).startswith("hi\n\n")
    assert note in found.adapted
    assert not {"response_format", "tool_choice", "parallel_tool_calls"} & set(sent)


@pytest.mark.parametrize(
    ("name", "lessons", "client", "tokens", "notes"),
    [
        ("gpt-4o", [], None, 4000, []),
        ("gemini-2.0-flash", [], None, 8192, []),
        ("claude-sonnet-4-thinking", [], None, 32000, []),
        ("claude-sonnet-4-thinking", [], 500, 500, []),
        ("claude-sonnet-4-thinking", ["above-thinking-budget"], 500, 32000, ["max_tokens:raised"]),
        ("claude-sonnet-4-thinking", ["above-thinking-budget"], 64000, 64000, []),
        ("gemini-2.0-flash", ["above-thinking-budget"], None, 32000, []),
    ],
)
def test_a_limit_is_always_sent(
    name: str, lessons: list[Lesson], client: int | None, tokens: int, notes: list[str]
) -> None:
    limit = "" if client is None else f'"max_tokens":{client}'
    found = made(request(limit, model=name), *lessons)
    assert json.loads(b"".join(found.body))["max_tokens"] == tokens
    assert [note for note in found.adapted if note.startswith("max_tokens")] == notes


@pytest.mark.parametrize(("model", "tokens"), [(CAPPED, 32000), (BARE, 32000), (ROOMY, 20000), (WIDE, 64000)])
def test_a_model_that_reasons_may_say_more_than_it_thinks(model: Model, tokens: int) -> None:
    for client in (None, 500):
        limit = "" if client is None else f'"max_tokens":{client}'
        found = made(request(limit, model=model.ref), models=[model])
        assert json.loads(b"".join(found.body))["max_tokens"] == (client or tokens)


def test_a_configured_limit_never_takes_from_the_catalogues() -> None:
    prompt = openai_chat.read_prompt(request(model=CAPPED.ref).encode())
    assert isinstance(prompt, Prompt)
    found = plan(prompt, Resolved(CAPPED.ref, "exact", CAPPED), LLM, frozenset(), Budgets(1, 2), nonce="0af")
    assert isinstance(found, Plan)
    assert json.loads(b"".join(found.body))["max_tokens"] == 8192


@pytest.mark.parametrize(
    ("model", "known", "ref", "note"),
    [
        ("gpt-4o", {}, GPT.ref, "model:resolved"),
        (GPT.ref, {}, GPT.ref, None),
        ("gpt-4", {}, GPT.ref, "model:family"),
        ("mine", {"aliases": {"mine": GPT.ref}}, GPT.ref, "model:resolved"),
        ("mistral", {"default": GPT.ref}, GPT.ref, "model:default"),
        ("", {"default": GPT.ref}, GPT.ref, "model:default"),
        ("anything", {"models": []}, "anything", None),
    ],
)
def test_the_model_that_is_asked(model: str, known: dict[str, Any], ref: str, note: str | None) -> None:
    found = made(request(model=model), **known)
    assert (found.ref, json.loads(b"".join(found.body))["model"]) == (ref, ref)
    assert [word for word in found.adapted if word.startswith("model:")] == ([note] if note else [])


@pytest.mark.parametrize(
    ("effort", "ref"), [("low", THINKING.ref), ("high", THINKING.ref), ("none", SONNET.ref), ("minimal", SONNET.ref)]
)
def test_an_effort_chooses_the_thinking_sibling(effort: str, ref: str) -> None:
    found = made(request(f'"reasoning_effort":"{effort}"', model="claude-sonnet-4"))
    assert found.ref == ref
    assert ("model:reasoning" in found.adapted) == (ref == THINKING.ref)
    assert "reasoning_effort:dropped" in found.adapted


def test_a_model_that_is_not_there() -> None:
    assert planned(request(model="mistral")) == Fault(
        kind="model_not_found",
        message="The model `mistral` does not exist on this Sourcegraph instance. Nearest: `gemini-2.0-flash`, "
        "`claude-sonnet-4-latest`, `gpt-4o`. "
        "GET /v1/models lists all; MODEL_ALIASES and DEFAULT_MODEL map other names.",
        param="model",
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\\r\\nx-evil: 1", "`a\ufffd\ufffdx-evil: 1`"),
        ("\\u001b[31mred", "`\ufffd[31mred`"),
        ("m" * 129, f"`{'m' * 128}…`"),
    ],
)
@pytest.mark.parametrize("models", [[], MODELS])
def test_a_name_is_shown_safely(name: str, shown: str, models: list[Model]) -> None:
    fault = planned(request(model=name), models=models)
    if isinstance(fault, Plan):
        assert (models, fault.ref) == ([], "m" * 129)
    else:
        assert shown in fault.message
        assert fault.status == 404


def test_no_model_and_no_default() -> None:
    assert planned('{"messages":[{"role":"user","content":"hi"}]}') == Fault(
        kind="bad_request",
        message="you must provide a model parameter (or set DEFAULT_MODEL for clients that send none)",
        param="model",
        code="missing_required_parameter",
    )


def test_what_cannot_be_carried_is_refused() -> None:
    image = '{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}'
    fault = planned(request(messages=image))
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.param) == ("bad_request", "messages[0].content[0]")


RELIABLE = Road("llm", 0, msgspec.structs.replace(LLM_API, reliable_streamed_calls=True))
UNSTREAMED = Model(ref=GPT.ref, abilities=frozenset({"chat", "tools", "streamDisabled"}))
TOOLLESS = Model(ref=GPT.ref, abilities=frozenset({"chat"}))
SKILLED = Model(ref="x::v1::skilled", abilities=frozenset({"chat", "tools", "vision"}))


@pytest.mark.parametrize(
    ("fields", "lessons", "known", "streams", "note"),
    [
        ('"stream":true', [], {}, True, None),
        ('"stream":false', [], {}, True, "stream:folded"),
        ("", [], {}, True, "stream:folded"),
        ('"stream":true', ["whole"], {}, False, "stream:played"),
        ("", ["whole"], {}, False, None),
        ('"stream":true', [], {"whole": True}, False, "stream:played"),
        (f'"tools":[{TOOL}]', [], {}, False, None),
        (f'"tools":[{TOOL}],"stream":true', [], {}, True, None),
        (f'"tools":[{TOOL}]', [], {"road": RELIABLE}, True, "stream:folded"),
        (f'"tools":[{TOOL}],"tool_choice":"none"', [], {}, True, "stream:folded"),
        ('"stream":true', [], {"models": [UNSTREAMED]}, False, "stream:played"),
        ("", [], {"models": [UNSTREAMED]}, False, None),
        # What an instance before 6.0 refuses on the LLM API, its Cody's stream takes.
        ('"stream":true', ["whole"], {"road": cody()}, True, None),
        ('"stream":true', [], {"road": cody(), "whole": True}, False, "stream:played"),
        ('"stream":true', [], {"road": cody(), "models": [UNSTREAMED]}, False, "stream:played"),
        (f'"tools":[{TOOL}]', [], {"road": cody()}, True, "stream:folded"),
        # Emulated calls come as text, which streams as well as any.
        (f'"tools":[{TOOL}]', [], {"models": [TOOLLESS, SKILLED]}, True, "stream:folded"),
    ],
)
def test_how_it_is_asked(
    fields: str, lessons: list[Lesson], known: dict[str, Any], streams: bool, note: str | None
) -> None:
    found = made(request(fields), *lessons, **known)
    assert (found.stream, found.slow) == (streams, not streams)
    assert json.loads(b"".join(found.body)).get("stream", found.road.endpoint == "cody") == streams
    assert [word for word in found.adapted if word.startswith("stream:")] == ([note] if note else [])


@pytest.mark.parametrize(
    ("ref", "slow"), [("a::v1::o3", True), ("a::v1::gpt-4o", False), ("a::v1::claude-thinking", True)]
)
def test_a_model_that_thinks_may_take_its_time(ref: str, slow: bool) -> None:
    assert made(request('"stream":true', model=ref), models=[]).slow == slow
    assert made(request('"stream":true', model=ref), models=[Model(ref=ref)]).slow == slow


def test_lessons_reach_the_messages() -> None:
    found = made(request('"stream":true', messages=f"{HI},{HI}"), "merge")
    assert b"".join(found.body).decode() == body(messages='{"role":"user","content":"hi\\n\\nhi"}')
    assert found.lessons == {"merge"}
    assert found.adapted == ("messages:merged",)


def refusal(text: str, status: int = 400) -> Fault:
    return read_fault(status, {}, text.encode(), 0)


def code(word: str) -> Fault:
    return Fault(kind="bad_gateway", message="", code=word)


@pytest.mark.parametrize(
    ("fault", "lessons", "before", "streams", "outcome"),
    [
        (refusal("found consecutive messages with the same speaker"), [], [], True, Again("lesson", "merge")),
        (refusal("message content cannot be empty", 500), ["merge"], [], True, Again("lesson", "fill-blank")),
        (refusal("found consecutive messages with the same speaker"), ["merge"], [], True, None),
        (refusal("stream is not supported"), [], [], True, Again("lesson", "whole")),
        (refusal("first message must use the user role"), [], [], True, Again("lesson", "begin-with-user")),
        (refusal("unexpected status code 404: no such model", 500), [], [], True, None),
        (refusal("unexpected status code 403: no", 503), [], [], True, None),
        (refusal("n must be nil or 1"), [], [], True, None),
        (code(HOLLOW_TOOL_CALLS), [], [], True, Again("ask-whole")),
        (code(HOLLOW_TOOL_CALLS), [], [], False, None),
        (code(HOLLOW_TOOL_CALLS), [], ["ask-whole"], True, None),
        (code(EMPTY_ANSWER), [], [], True, Again("empty")),
        (code(EMPTY_ANSWER), [], ["empty"], True, None),
        (code(EMPTY_ANSWER), [], ["ask-whole"], False, Again("empty")),
        (Fault(kind="internal", message="message content cannot be empty"), [], [], True, None),
    ],
)
def test_when_to_ask_again(
    fault: Fault, lessons: list[Lesson], before: list[str], streams: bool, outcome: Again | None
) -> None:
    for road in (LLM, cody()):
        tried = made(request(), *lessons, whole=not streams, road=road)
        assert again(fault, tried, frozenset(before), api="auto") == outcome


def test_every_refusal_ends_after_as_many_tries_as_there_are_lessons() -> None:
    lessons: list[Lesson] = []
    text = "found consecutive messages with the same speaker; message content cannot be empty"
    while (more := again(refusal(text), made(request(), *lessons), frozenset(), api="auto")) and more.lesson:
        lessons.append(more.lesson)
    assert lessons == ["merge"]


def test_a_resolved_name_that_is_the_reference_itself_is_no_change() -> None:
    prompt = openai_chat.read_prompt(request('"stream":true', model="m").encode())
    assert not isinstance(prompt, Fault)
    found = plan(prompt, Resolved("m", "alias"), LLM, frozenset(), BUDGETS, nonce="0af")
    assert isinstance(found, Plan)
    assert found.adapted == ()


NO_VERSION = "Unsupported API Version (Please update your client)"


@pytest.mark.parametrize(
    ("road", "outcome"),
    [(cody(9), Again("older")), (cody(1), Again("older")), (cody(0), None), (LLM, None)],
)
@pytest.mark.parametrize(
    ("words", "status"), [(NO_VERSION, 406), (NO_VERSION, 500), ("", 406), ("Not Acceptable", 406), ("<html>406", 406)]
)
def test_an_api_version_that_is_refused_gives_way_to_an_older_one(
    road: Road, outcome: Again | None, words: str, status: int
) -> None:
    assert again(refusal(words, status), made(request(), road=road), frozenset({"older"}), api="cody") == outcome


def test_a_client_that_is_not_let_in_is_no_matter_of_versions() -> None:
    words = 'ClientCodyIgnoreCompatibilityError: "client-name" query param is required.'
    assert again(refusal(words, 406), made(request(), road=cody()), frozenset(), api="cody") is None


GATED = Fault(kind="forbidden", message="", code=UPSTREAM_GATE)


@pytest.mark.parametrize(
    ("road", "api", "outcome"),
    [(LLM, "auto", Again("gate")), (LLM, "llm", None), (cody(), "auto", None), (cody(), "cody", None)],
)
def test_a_closed_llm_api_gives_way_to_codys_stream(
    road: Road, api: Literal["auto", "llm", "cody"], outcome: Again | None
) -> None:
    assert again(GATED, made(request(), road=road), frozenset(), api=api) == outcome
    assert again(refusal("licence", 403), made(request(), road=road), frozenset(), api=api) == outcome


@pytest.mark.parametrize(
    ("road", "api", "outcome"),
    [(LLM, "auto", Again("other-road")), (LLM, "llm", None), (cody(), "auto", None), (cody(), "cody", None)],
)
def test_a_model_that_the_llm_api_does_not_have_is_asked_for_on_the_other_road(
    road: Road, api: Literal["auto", "llm", "cody"], outcome: Again | None
) -> None:
    assert again(refusal("Model not found", 404), made(request(), road=road), frozenset(), api=api) == outcome


@pytest.mark.parametrize(
    ("said", "after", "patience", "wait"),
    [
        ("too many concurrent requests", 2, 5.0, 2.0),
        ("Concurrency limit reached", None, 1.0, 1.0),
        ("too many concurrent requests", 0, 1.0, 1.0),
        ("too many concurrent requests", 6, 5.0, None),
        ("too many concurrent requests", None, 0.0, None),
        ("you exceeded the rate limit for chat_completions", 1, 5.0, None),
    ],
)
def test_only_a_limit_of_concurrency_is_worth_a_wait_and_only_a_short_one(
    said: str, after: int | None, patience: float, wait: float | None
) -> None:
    limited = Fault(kind="rate_limited", message="", said=said, retry_after=after)
    outcome = None if wait is None else Again("wait", wait=wait)
    assert again(limited, made(request()), frozenset({"wait"}), api="auto", patience=patience) == outcome
    other = msgspec.structs.replace(limited, kind="internal")
    assert again(other, made(request()), frozenset(), api="auto", patience=patience) is None


UNDECODED = "could not decode request body"
TOOLS = f'"tools":[{TOOL}]'
ROUND = (
    f'{HI},{{"role":"assistant","content":"x","tool_calls":[{CALL % "{}"}]}},'
    '{"role":"tool","tool_call_id":"c","content":"r"}'
)
LEARNT = Again("lesson", "plain-parts")


@pytest.mark.parametrize(
    ("asked", "known", "rich"),
    [
        (request(), {}, False),
        (request(TOOLS), {}, True),
        (request(TOOLS, messages=ROUND), {}, True),
        (request(messages=ROUND), {}, False),  # as text, where no tools are offered
        (request(TOOLS), {"road": LLM}, False),
        (request(TOOLS), {"road": cody(6)}, False),
        (request(messages=ROUND), {"road": cody(6)}, False),
        (request(TOOLS), {"models": [TOOLLESS, SKILLED]}, False),
    ],
)
def test_fields_that_are_newer_than_the_server_teach_plain_parts(asked: str, known: dict[str, Any], rich: bool) -> None:
    tried = made(asked, **{"road": cody(), **known})
    assert tried.rich == rich
    assert again(refusal(UNDECODED), tried, frozenset(), api="auto") == (LEARNT if rich else None)
    plain = made(asked, "plain-parts", **{"road": cody(), **known})
    assert not plain.rich or plain.road.endpoint == "llm"
    assert again(refusal(UNDECODED), plain, frozenset(), api="auto") is None


@pytest.mark.parametrize(
    ("road", "lacks", "rich"),
    [
        (cody(9), frozenset(), True),
        (cody(9), frozenset({"tools"}), True),
        (cody(7), frozenset(), True),
        (cody(6), frozenset(), False),
        (LLM, frozenset(), False),
    ],
)
def test_a_cache_hint_is_rich_wherever_it_is_carried(road: Road, lacks: frozenset[str], rich: bool) -> None:
    part = TextPart(msgspec.Raw(b'"hi"'), msgspec.Raw(b'{"type":"ephemeral"}'))
    hinted = Prompt(model="m", turns=(Turn(role="user", parts=(part,), listed=True),), stream=True)
    found = plan(hinted, Resolved("m", "exact", lacks=lacks), road, frozenset(), BUDGETS, nonce="0af")
    assert isinstance(found, Plan)
    assert found.rich == rich == (b"cache_control" in b"".join(found.body))


def test_a_cache_hint_of_what_is_wrapped_is_rich_too() -> None:
    part = TextPart(msgspec.Raw(b'"s"'), msgspec.Raw(b'{"type":"ephemeral"}'))
    turns = (
        Turn(role="user", parts=(TextPart(msgspec.Raw(b'"hi"')),)),
        Turn(role="system", parts=(part,), listed=True),
    )
    found = plan(Prompt(model="m", turns=turns), Resolved("m", "exact"), cody(), frozenset(), BUDGETS, nonce="0af")
    assert isinstance(found, Plan)
    assert found.rich
    assert b'"<SYSTEM_PROMPT>s</SYSTEM_PROMPT>","cache_control":{"type":"ephemeral"}' in b"".join(found.body)


def test_a_cache_hint_is_rich_and_goes_where_plain_parts_are_wanted() -> None:
    part = TextPart(msgspec.Raw(b'"hi"'), msgspec.Raw(b'{"type":"ephemeral"}'))
    hinted = Prompt(model="m", turns=(Turn(role="user", parts=(part,), listed=True),), stream=True)
    rich = plan(hinted, Resolved("m", "exact"), cody(), frozenset(), BUDGETS, nonce="0af")
    plain = plan(hinted, Resolved("m", "exact"), cody(), frozenset({"plain-parts"}), BUDGETS, nonce="0af")
    assert isinstance(rich, Plan)
    assert isinstance(plain, Plan)
    assert (rich.rich, plain.rich) == (True, False)
    assert b'"cache_control":{"type":"ephemeral"}' in b"".join(rich.body)
    assert b"cache_control" not in b"".join(plain.body)
    assert (rich.adapted, plain.adapted) == (("endpoint:cody",), ("cache_control:dropped", "endpoint:cody"))


def test_a_road_that_carries_what_a_message_says_besides_loses_nothing() -> None:
    part = TextPart(msgspec.Raw(b'"hi"'), msgspec.Raw(b'{"type":"ephemeral"}'))
    prompt = Prompt(model="m", turns=(Turn(role="user", parts=(part,), listed=True, name="bob"),), stream=True)
    road = Road("cody", 9, msgspec.structs.replace(cody_stream(9), names=True))
    found = plan(prompt, Resolved("m", "exact"), road, frozenset(), BUDGETS, nonce="0af")
    assert isinstance(found, Plan)
    assert found.adapted == ("endpoint:cody",)


def cody_body(messages: str, fields: str = "", tokens: int = 4000) -> str:
    return f'{{"model":"{GPT.ref}","messages":[{messages}],"maxTokensToSample":{tokens},"topK":-1,"topP":-1{fields}}}'


CODY_HI = '{"speaker":"human","text":"hi"}'
PLACED = '{"speaker":"assistant","content":[{"type":"text","text":"x"},'
AS_TEXT = (
    ',{"speaker":"assistant","text":"x\\n(called f with {})"},{"speaker":"human","text":"<TOOL_RESULT>r</TOOL_RESULT>"}'
)
SILENT = PLACED.replace('"x"', '"(calls a tool)"')
CODY_CALL = '{"type":"tool_call","tool_call":{"id":"c","name":"f","arguments":"{}"}}'


@pytest.mark.parametrize(
    ("messages", "version", "sent", "notes"),
    [
        (HI, 9, CODY_HI, []),
        (HI, 0, CODY_HI + ',{"speaker":"assistant"}', []),
        (f'{{"role":"system","content":"s"}},{HI}', 1, '{"speaker":"system","text":"s"},' + CODY_HI, []),
        (
            f'{{"role":"system","content":"s"}},{HI}',
            0,
            f'{{"speaker":"human","text":"<SYSTEM_PROMPT>s</SYSTEM_PROMPT>"}},{CODY_HI},{{"speaker":"assistant"}}',
            ["system:wrapped"],
        ),
        (
            f'{{"role":"system","content":"s"}},{{"role":"developer","content":"d"}},{HI}',
            9,
            '{"speaker":"system","text":"s\\n\\nd"},' + CODY_HI,
            ["developer:as-system", "system:merged"],
        ),
        (
            f'{HI},{{"role":"system","content":"s"}}',
            9,
            CODY_HI + ',{"speaker":"human","text":"<SYSTEM_PROMPT>s</SYSTEM_PROMPT>"}',
            ["system:wrapped"],
        ),
        ('{"role":"user","content":"hi","name":"bob"}', 9, CODY_HI, ["message-fields:dropped"]),
        ('{"role":"user","content":""}', 9, '{"speaker":"human","text":"(empty)"}', ["content:filled"]),
        (
            '{"role":"user","content":[{"type":"text","text":""},{"type":"text","text":"hi"}]}',
            9,
            CODY_HI,
            ["content:empty-dropped"],
        ),
        # Calls in the history are refused where no tools are offered.
        (
            ROUND,
            9,
            CODY_HI + AS_TEXT,
            ["tool-calls:as-text", "tool:wrapped"],
        ),
        (ROUND, 7, CODY_HI + AS_TEXT, ["tool-calls:as-text", "tool:wrapped"]),
    ],
)
def test_messages_to_codys_stream(messages: str, version: int, sent: str, notes: list[str]) -> None:
    found = made(request('"stream":true', messages=messages), road=cody(version))
    assert b"".join(found.body).decode() == cody_body(sent)
    assert list(found.adapted) == sorted([*notes, "endpoint:cody"])
    assert found.road == cody(version)


@pytest.mark.parametrize(
    ("messages", "sent", "notes"),
    [
        (
            ROUND,
            (
                f'{CODY_HI},{PLACED}{CODY_CALL}]}},{{"speaker":"human","content":'
                '[{"type":"tool_result","tool_result":{"id":"c","content":"r"}}]}'
            ),
            [],
        ),
        (
            f'{HI},{{"role":"assistant","content":null,"tool_calls":[{CALL % ""}]}}',
            (
                f'{CODY_HI},{SILENT}{CODY_CALL}]}},{{"speaker":"human","content":'
                '[{"type":"tool_result","tool_result":{"id":"c","content":"(no result)"}}]}'
            ),
            ["arguments:filled", "content:filled", "tool-results:filled"],
        ),
        (
            (
                f'{HI},{{"role":"assistant","content":"","tool_calls":[{CALL % "{}"}]}},'
                f'{{"role":"assistant","content":"","tool_calls":[{CALL % "[1]"}]}}'
            ),
            (
                f'{CODY_HI},{SILENT}{CODY_CALL},{{"type":"tool_call","tool_call":'
                '{"id":"c_1","name":"f","arguments":"{\\"arguments\\":\\"[1]\\"}"}}]},'
                '{"speaker":"human","content":[{"type":"tool_result","tool_result":{"id":"c","content":"(no result)"}},'
                '{"type":"tool_result","tool_result":{"id":"c_1","content":"(no result)"}}]}'
            ),
            ["arguments:wrapped", "content:filled", "messages:merged", "tool-results:filled"],
        ),
    ],
)
def test_a_history_of_calls_to_codys_stream(messages: str, sent: str, notes: list[str]) -> None:
    found = made(request(f'"stream":true,{TOOLS}', messages=messages), road=cody())
    assert b"".join(found.body).decode() == cody_body(sent, f',"tools":[{TOOL}]')
    assert list(found.adapted) == sorted([*notes, "endpoint:cody"])


@pytest.mark.parametrize(
    ("given", "fields", "tokens"),
    [
        ('"stream":true', "", 4000),
        ('"stream":true,"max_tokens":7', "", 7),
        (f'"stream":true,{TOOLS}', f',"tools":[{TOOL}]', 4000),
        ('"stream":true,"stop":["a"]', ',"stopSequences":["a"]', 4000),
    ],
)
def test_fields_to_codys_stream(given: str, fields: str, tokens: int) -> None:
    assert b"".join(made(request(given), road=cody()).body).decode() == cody_body(CODY_HI, fields, tokens)


SEEN = '{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}'


def test_a_type_of_image_that_no_provider_takes_is_corrected_where_images_go() -> None:
    found = made(request('"stream":true', messages=SEEN.replace("image/png", "image/jpg")), road=cody(3))
    assert b'"data:image/jpeg;base64,AA=="' in b"".join(found.body)
    assert found.adapted == ("endpoint:cody", "image-type:corrected")
    assert "image-type:corrected" not in made(request(messages=SEEN), road=cody(3)).adapted


def test_an_image_goes_where_it_is_seen() -> None:
    found = made(request('"stream":true', messages=SEEN), road=cody(3))
    assert b"".join(found.body).decode() == cody_body(
        '{"speaker":"human","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}'
    )
    for known in ({"road": cody(2)}, {"road": LLM}, {"road": cody(), "models": [TOOLLESS, SKILLED]}):
        fault = planned(request(messages=SEEN), **known)
        assert isinstance(fault, Fault)
        assert (fault.status, fault.param, fault.code) == (400, "messages[0].content[0]", "unsupported_value")


@pytest.mark.parametrize(
    "known",
    [
        {"road": cody(7)},
        {"road": cody(0)},
        {"road": Road("llm", 0, llm_api(5))},
        {"models": [TOOLLESS, SKILLED]},
        {"road": cody(), "models": [TOOLLESS, SKILLED]},
    ],
)
def test_tools_that_are_not_carried_are_emulated(known: dict[str, Any]) -> None:
    found = made(request(f'"stream":true,{TOOLS}'), **known)
    sent = json.loads(b"".join(found.body))
    assert "tools" not in sent
    assert "<tool_call_0af>" in json.dumps(sent["messages"][0])
    assert "tools:emulated" in found.adapted
    assert ([tool.name for tool in found.called], found.nonce) == (["f"], "0af")
    finder = found.chain()
    assert finder is not None
    written: list[Event] = [Text('<tool_call_0af>{"name": "f", "arguments": {}}</tool_call_0af>'), Stop("stop")]
    called: list[Event] = [CallStart(0, "call_0af_0", "f"), CallArguments(0, "{}"), Stop("tool_calls")]
    assert finder.adapt(written) == called


@pytest.mark.parametrize("known", [{}, {"road": cody()}, {"road": cody(8)}, {"models": [SKILLED, GPT]}])
def test_tools_that_are_carried_need_no_finder(known: dict[str, Any]) -> None:
    found = made(request(f'"stream":true,{TOOLS}', model=SKILLED.ref if "models" in known else GPT.ref), **known)
    assert json.loads(b"".join(found.body))["tools"] == [json.loads(TOOL)]
    assert (found.called, found.chain()) == ((), None)
    assert "tools:emulated" not in found.adapted


def test_without_tools_nothing_is_looked_for() -> None:
    assert made(request('"stream":true'), road=cody(0)).chain() is None
