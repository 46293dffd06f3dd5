"""What a promise costs and what is told of it, also where it was not kept."""

import re

from cody_oai_router.simulator import Call, Hold, Reply, Text
from end_to_end.harness import CODY_PATH, ask, both, chat, connected, request, run, words
from end_to_end.matrix import TOOLS

CODY = {"SOURCEGRAPH_API": "cody"}
BROKEN = Reply((Call("get_weather", '{"city":"Os'),))
WHOLE = Reply((Call("get_weather", '{"city":"Oslo"}'),))
SAID = Reply((Text("I would rather talk."),))


def test_a_demanded_call_with_broken_arguments_is_asked_for_again() -> None:
    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            for item in (BROKEN, WHOLE):
                simulator.queue(item, CODY_PATH)
            answer = await ask(running, tools=TOOLS, tool_choice="required")
            (call,) = answer.json["choices"][0]["message"]["tool_calls"]
            assert call["function"]["arguments"] == '{"city":"Oslo"}'
            assert "repair:asked-again" in words(answer)
            asked = simulator.received[-1].json["messages"][-1]
            assert "with arguments that are no JSON object" in asked["text"]

    run(scenario())


def test_two_broken_calls_are_an_honest_failure() -> None:
    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            simulator.queue(BROKEN, CODY_PATH, times=2)
            assert (await ask(running, tools=TOOLS, tool_choice="required")).status == 422

    run(scenario())


def test_what_a_broken_promise_cost_is_in_the_log() -> None:
    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            for stream in (False, True):
                simulator.queue(SAID, CODY_PATH, times=2)
                assert (await ask(running, tools=TOOLS, tool_choice="required", stream=stream)).status == 422
            simulator.queue(SAID, CODY_PATH)
            assert (await ask(running, response_format={"type": "json_object"})).status == 422
        tokens = [re.search(r"tokens=(\d+)/(\d+)", line) for line in running.lines if " 422 " in line]
        assert len(tokens) == 3
        assert all(found and int(found[1]) and int(found[2]) for found in tokens), running.lines

    run(scenario())


def test_a_repaired_answer_counts_the_clients_prompt_and_bills_both() -> None:
    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            simulator.queue(WHOLE, CODY_PATH)
            once = (await ask(running, tools=TOOLS, tool_choice="required")).json["usage"]
            for item in (SAID, WHOLE):
                simulator.queue(item, CODY_PATH)
            twice = (await ask(running, tools=TOOLS, tool_choice="required")).json["usage"]
            assert twice["prompt_tokens"] == once["prompt_tokens"]
            assert twice["total_tokens"] == twice["prompt_tokens"] + twice["completion_tokens"]
            assert twice["billed_tokens"] > 2 * once["prompt_tokens"]
            assert "billed_tokens" not in once

    run(scenario())


def test_emulated_calls_of_several_choices_have_ids_of_their_own() -> None:
    async def scenario() -> None:
        async with both("5.8", variables={"SOURCEGRAPH_API": "auto"}) as (_, running):
            answer = await ask(running, "What is the weather?", tools=TOOLS, n=3)
            ids = [choice["message"]["tool_calls"][0]["id"] for choice in answer.json["choices"]]
            assert len(set(ids)) == 3

    run(scenario())


def test_a_stream_that_fails_late_tells_what_was_changed() -> None:
    async def scenario() -> None:
        hasty = {**CODY, "HEAD_HOLD": "0.05", "HEARTBEAT_INTERVAL": "0.05"}
        async with both(variables=hasty) as (simulator, running), connected(running) as client:
            simulator.queue(Reply((Hold("first"), *SAID.parts)), CODY_PATH)
            simulator.queue(SAID, CODY_PATH)
            client.send(request(chat(tools=TOOLS, tool_choice="required", stream=True)))
            await simulator.held("first")
            await client.until(b": keep-alive")
            simulator.release("first")
            answer = await client.to_end()
            answer.assert_broken()
            assert "repair:asked-again" not in words(answer)
            assert ": x-router-adapted: repair:asked-again" in answer.events

    run(scenario())


def test_stop_sequences_stay_here_where_a_model_refuses_them() -> None:
    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            answer = await ask(running, "[[text:one two three]]", model="o3", stop=["two"])
            assert answer.json["choices"][0]["message"]["content"] == "one "
            assert "stopSequences" not in simulator.received[-1].json
            assert "stop:cut-here" in words(answer)

    run(scenario())


def test_a_history_of_calls_goes_in_plain_words_where_no_tool_can_be_called() -> None:
    async def scenario() -> None:
        call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        messages = [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "7 degrees"},
        ]
        for api in ("llm", "cody"):
            async with both(variables={"SOURCEGRAPH_API": api}) as (simulator, running):
                answer = await ask(running, messages=messages, tools=TOOLS, tool_choice="none")
                assert answer.json["choices"][0]["message"]["content"] == "The tool answered: 7 degrees"
                sent = simulator.received[-1].body.decode()
                assert "(called get_weather with {})" in sent
                assert "tool_call" not in sent

    run(scenario())
