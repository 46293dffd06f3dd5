"""Exchanges: what travels to the LLM API for what a client sent, as text, and what a refusal changes."""

import json
from typing import Any

import pytest

from cody_oai_router.abilities import LLM_API, Abilities
from cody_oai_router.catalogue import Catalogue, Model, Resolved
from cody_oai_router.dialects import openai_chat
from cody_oai_router.exchange import Again, Budgets, Plan, again, plan, resolve
from cody_oai_router.faults import EMPTY_ANSWER, HOLLOW_TOOL_CALLS, Fault
from cody_oai_router.lessons import Lesson
from cody_oai_router.sourcegraph.refusals import read_fault

BUDGETS = Budgets(plain=4000, reasoning=32000)
GPT = Model(ref="openai::v1::gpt-4o", abilities=frozenset({"chat"}))
LIMITED = Model(ref="google::v1::gemini-2.0-flash", abilities=frozenset({"chat"}), max_output=8192)
SONNET = Model(ref="anthropic::v1::claude-sonnet-4-latest", abilities=frozenset({"chat"}))
THINKING = Model(ref="anthropic::v1::claude-sonnet-4-thinking-latest", abilities=frozenset({"chat", "reasoning"}))
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
    abilities: Abilities = LLM_API,
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
    return plan(prompt, resolved, abilities, frozenset(lessons), BUDGETS, whole=whole)


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
            f'{{"role":"assistant","content":"(calls a tool)","tool_calls":[{CALL % "{}"}]}}',
            "arguments:filled, content:filled",
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
        ('"response_format":{"type":"json_object"}', USUAL, "response_format:dropped"),
        ('"user":"me"', USUAL, "user:dropped"),
        ('"frequency_penalty":1,"presence_penalty":1', USUAL, "frequency_penalty:dropped, presence_penalty:dropped"),
        ('"logit_bias":{},"logprobs":false', USUAL, "logit_bias:dropped, logprobs:dropped"),
        ('"top_logprobs":2,"logprobs":null', USUAL, "nulls:dropped, top_logprobs:dropped"),
        (f'"tools":[{TOOL}]', f'{USUAL},"tools":[{TOOL}]', ""),
        ('"tools":[]', USUAL, ""),
        (f'"tools":[{TOOL}],"tool_choice":"auto"', f'{USUAL},"tools":[{TOOL}]', "tool_choice:dropped"),
        (f'"tools":[{TOOL}],"tool_choice":"none"', USUAL, "tool_choice:dropped, tools:withheld"),
        ('"parallel_tool_calls":false', USUAL, "parallel_tool_calls:dropped"),
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


RELIABLE = Abilities(images=False, reliable_streamed_calls=True)


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
        (f'"tools":[{TOOL}]', [], {"abilities": RELIABLE}, True, "stream:folded"),
        (f'"tools":[{TOOL}],"tool_choice":"none"', [], {}, True, "stream:folded"),
    ],
)
def test_how_it_is_asked(
    fields: str, lessons: list[Lesson], known: dict[str, Any], streams: bool, note: str | None
) -> None:
    found = made(request(fields), *lessons, **known)
    assert (found.stream, found.slow) == (streams, not streams)
    assert json.loads(b"".join(found.body)).get("stream", False) == streams
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
    assert again(fault, made(request(), *lessons, whole=not streams), frozenset(before)) == outcome


def test_every_refusal_ends_after_as_many_tries_as_there_are_lessons() -> None:
    lessons: list[Lesson] = []
    text = "found consecutive messages with the same speaker; message content cannot be empty"
    while (more := again(refusal(text), made(request(), *lessons), frozenset())) and more.lesson:
        lessons.append(more.lesson)
    assert lessons == ["merge"]


def test_a_resolved_name_that_is_the_reference_itself_is_no_change() -> None:
    prompt = openai_chat.read_prompt(request('"stream":true', model="m").encode())
    assert not isinstance(prompt, Fault)
    found = plan(prompt, Resolved("m", "alias"), LLM_API, frozenset(), BUDGETS)
    assert isinstance(found, Plan)
    assert found.adapted == ()
