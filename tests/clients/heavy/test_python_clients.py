"""Python libraries on top of the OpenAI SDK, or beside it, do their smallest tasks: chat, stream, tools, structured output, an error."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pydantic
import pytest

from clients.heavy.surroundings import assert_tools_went_as_expected, clean, with_gated
from clients.stand import PATIENCE, Stand

MODEL: Final = "gpt-4"
KEY: Final = "any key"
QUESTION: Final = "What is the weather in Paris?"
WRITTEN: Final = "[[text:{}]]".format('{"city":"Paris"}')
REFUSED: Final = "[[status:400 the reason why]]"
REASON: Final = "Sourcegraph says: the reason why"


class City(pydantic.BaseModel):
    """What structured answers are made of here."""

    city: str


PARIS: Final = City(city="Paris")
SCHEMA: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def get_weather(city: str) -> str:
    """Gives the weather of a city.

    Args:
        city: The name of the city.
    """
    return f"sunny in {city}"


TWICE: Final = '[[call:get_weather {"city":"Paris"}]] [[call:get_weather {"city":"Rome"}]]'
ANSWERED_TWICE: Final = "The tool answered: sunny in Paris | sunny in Rome"
# The model knows no city: it fills a schema with the names of its properties.
ANSWERED: Final = f"The tool answered: {get_weather('city')}"


def installed(module: str) -> Any:
    return pytest.importorskip(module, reason=f"{module} is not installed (make test-clients)")


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@with_gated
class TestOpenAI:
    """In short: `test_openai_sdk.py` has it at length."""

    @pytest.fixture
    def completions(self, stand: Stand) -> Any:
        with installed("openai").OpenAI(base_url=stand.base_url, api_key=KEY, max_retries=0) as client:
            yield client.chat.completions

    def test_a_whole_answer(self, completions: Any) -> None:
        answer = completions.create(model=MODEL, messages=said("Hello"))
        assert answer.choices[0].message.content == "You said: Hello"

    def test_a_stream(self, completions: Any) -> None:
        chunks = completions.create(model=MODEL, messages=said("one two"), stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "You said: one two"

    @pytest.mark.parametrize("stream", [False, True])
    def test_tools(self, completions: Any, stand: Stand, tmp_path: Path, stream: bool) -> None:
        tool = installed("openai").pydantic_function_tool(City, name="write_city")
        messages: list[Any] = said('[[call:write_city {"city":"Paris"}]]')
        for _ in range(2):
            message = self.message(completions, messages, tool, stream=stream)
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls or ():
                (tmp_path / "made.txt").write_text(call.function.parsed_arguments.city, "utf-8")
                messages.append({"role": "tool", "tool_call_id": call.id, "content": "written"})
        assert messages[-1]["content"] == "The tool answered: written"
        assert (tmp_path / "made.txt").read_text("utf-8") == "Paris"
        assert_tools_went_as_expected(stand)

    @pytest.mark.parametrize("stream", [False, True])
    def test_structured_output(self, completions: Any, stream: bool) -> None:
        if stream:
            with completions.stream(model=MODEL, messages=said(WRITTEN), response_format=City) as events:
                answer = events.get_final_completion()
        else:
            answer = completions.parse(model=MODEL, messages=said(WRITTEN), response_format=City)
        assert answer.choices[0].message.parsed == PARIS

    def test_an_error_is_shown(self, completions: Any) -> None:
        with pytest.raises(installed("openai").BadRequestError, match=REASON):
            completions.create(model=MODEL, messages=said(REFUSED))

    @staticmethod
    def message(completions: Any, messages: list[Any], tool: Any, *, stream: bool) -> Any:
        if not stream:
            return completions.parse(model=MODEL, messages=messages, tools=[tool]).choices[0].message
        with completions.stream(model=MODEL, messages=messages, tools=[tool]) as events:
            return events.get_final_completion().choices[0].message


class TestLangChain:
    @staticmethod
    def model(stand: Stand, name: str = MODEL) -> Any:
        chat = installed("langchain_openai").ChatOpenAI
        return chat(base_url=stand.base_url, api_key=KEY, model=name, max_retries=0)

    def test_a_whole_answer(self, stand: Stand) -> None:
        assert self.model(stand).invoke("Hello").content == "You said: Hello"

    def test_a_stream(self, stand: Stand) -> None:
        assert "".join(piece.content for piece in self.model(stand).stream("one two")) == "You said: one two"

    @pytest.mark.parametrize("stream", [False, True])
    def test_tools(self, stand: Stand, stream: bool) -> None:
        weather = installed("langchain_core.tools").tool(get_weather)
        question = installed("langchain_core.messages").HumanMessage(QUESTION)
        model = self.model(stand).bind_tools([weather])
        asked = self.joined(model.stream([question])) if stream else model.invoke([question])
        (call,) = asked.tool_calls
        result = weather.invoke(call)
        assert model.invoke([question, asked, result]).content == f"The tool answered: {result.content}"
        assert_tools_went_as_expected(stand)

    def test_structured_output_by_a_forced_tool(self, stand: Stand) -> None:
        model = self.model(stand).with_structured_output(City, method="function_calling")
        assert model.invoke('[[call:City {"city":"Paris"}]]') == PARIS

    @pytest.mark.parametrize("method", ["json_schema", "json_mode"])
    def test_structured_output(self, stand: Stand, method: str) -> None:
        model = self.model(stand, "gpt-4o")  # for a "gpt-4" it would not use json_schema
        assert model.with_structured_output(City, method=method).invoke(WRITTEN) == PARIS

    def test_an_error_is_shown(self, stand: Stand) -> None:
        with pytest.raises(installed("openai").BadRequestError, match=REASON):
            self.model(stand).invoke(REFUSED)

    @staticmethod
    def joined(pieces: Any) -> Any:
        first, *rest = pieces
        for piece in rest:
            first += piece
        return first


@with_gated
class TestPydanticAI:
    @staticmethod
    def agent(stand: Stand, **options: Any) -> Any:
        module = installed("pydantic_ai.models.openai")
        provider = installed("pydantic_ai.providers.openai").OpenAIProvider(base_url=stand.base_url, api_key=KEY)
        return installed("pydantic_ai").Agent(module.OpenAIChatModel(MODEL, provider=provider), **options)

    def test_a_whole_answer(self, stand: Stand) -> None:
        assert self.agent(stand, instructions="Be brief.").run_sync("Hello").output == "You said: Hello"

    def test_a_stream(self, stand: Stand) -> None:
        assert asyncio.run(self.streamed(self.agent(stand), "one two")) == "You said: one two"

    def test_tools(self, stand: Stand) -> None:
        assert self.agent(stand, tools=[get_weather]).run_sync(QUESTION).output == ANSWERED
        assert_tools_went_as_expected(stand)

    def test_streamed_tools(self, stand: Stand) -> None:
        answer = asyncio.run(self.streamed(self.agent(stand, tools=[get_weather]), QUESTION))
        assert answer == ANSWERED
        assert_tools_went_as_expected(stand)

    def test_tools_in_parallel(self, stand: Stand) -> None:
        assert self.agent(stand, tools=[get_weather]).run_sync(TWICE).output == ANSWERED_TWICE
        assert_tools_went_as_expected(stand)

    def test_structured_output_by_a_tool(self, stand: Stand) -> None:
        agent = self.agent(stand, output_type=City)
        assert agent.run_sync('[[call:final_result {"city":"Paris"}]]').output == PARIS

    @pytest.mark.parametrize("kind", ["NativeOutput", "PromptedOutput"])
    def test_structured_output(self, stand: Stand, kind: str) -> None:
        agent = self.agent(stand, output_type=getattr(installed("pydantic_ai"), kind)(City))
        assert agent.run_sync(WRITTEN).output == PARIS

    def test_an_error_is_shown(self, stand: Stand) -> None:
        with pytest.raises(installed("pydantic_ai.exceptions").ModelHTTPError, match=REASON):
            self.agent(stand).run_sync(REFUSED)

    @staticmethod
    async def streamed(agent: Any, text: str) -> str:
        async with agent.run_stream(text) as answer:
            return "".join([piece async for piece in answer.stream_text(delta=True)])


class TestInstructor:
    @pytest.fixture
    def ask(self, stand: Stand) -> Any:
        """Asks for a city in one of Instructor's modes."""
        instructor = installed("instructor")
        with installed("openai").OpenAI(base_url=stand.base_url, api_key=KEY, max_retries=0) as client:

            def ask(text: str, mode: str = "TOOLS", *, stream: bool = False, model: Any = City) -> Any:
                completions = instructor.from_openai(client, mode=instructor.Mode[mode]).chat.completions
                create = completions.create_partial if stream else completions.create
                return create(model=MODEL, response_model=model, max_retries=0, messages=said(text))

            yield ask

    def test_a_whole_answer(self, ask: Any) -> None:
        assert ask("Hello", model=None).choices[0].message.content == "You said: Hello"

    def test_structured_output_by_a_forced_tool(self, ask: Any, stand: Stand) -> None:
        assert ask('[[call:City {"city":"Paris"}]]').city == "Paris"
        assert_tools_went_as_expected(stand)

    def test_a_stream_of_it(self, ask: Any, stand: Stand) -> None:
        *_, last = ask('[[call:PartialCity {"city":"Paris"}]]', stream=True)
        assert last.city == "Paris"
        assert_tools_went_as_expected(stand)

    @pytest.mark.parametrize("mode", ["JSON", "JSON_SCHEMA", "MD_JSON"])
    def test_structured_output(self, ask: Any, mode: str) -> None:
        assert ask(WRITTEN, mode).city == "Paris"

    def test_an_error_is_shown(self, ask: Any) -> None:
        with pytest.raises(installed("instructor.core").InstructorRetryException, match=REASON):
            ask(REFUSED)


class TestOpenAIAgents:
    @pytest.fixture
    def run(self, stand: Stand) -> Any:
        """Runs an agent at one task and gives its outcome, and the words that it streamed."""
        agents = installed("agents")

        async def run(text: str, *, stream: bool = False, **options: Any) -> tuple[Any, str]:
            async with installed("openai").AsyncOpenAI(base_url=stand.base_url, api_key=KEY, max_retries=0) as client:
                model = agents.OpenAIChatCompletionsModel(MODEL, client)
                agent = agents.Agent("tester", instructions="Be brief.", **options)
                config = agents.RunConfig(model=model)
                if not stream:
                    return (await agents.Runner.run(agent, text, run_config=config)).final_output, ""
                answer = agents.Runner.run_streamed(agent, text, run_config=config)
                words = [
                    event.data.delta
                    async for event in answer.stream_events()
                    if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
                ]
                return answer.final_output, "".join(words)

        return lambda *task, **options: asyncio.run(run(*task, **options))

    def test_a_whole_answer(self, run: Any) -> None:
        assert run("Hello") == ("You said: Hello", "")

    def test_a_stream(self, run: Any) -> None:
        assert run("one two", stream=True) == ("You said: one two", "You said: one two")

    @pytest.mark.parametrize("stream", [False, True])
    def test_tools(self, run: Any, stand: Stand, stream: bool) -> None:
        tool = installed("agents").function_tool(get_weather)
        assert run(QUESTION, stream=stream, tools=[tool])[0] == ANSWERED
        assert_tools_went_as_expected(stand)

    @pytest.mark.parametrize("stream", [False, True])
    def test_tools_in_parallel(self, run: Any, stand: Stand, stream: bool) -> None:
        tool = installed("agents").function_tool(get_weather)
        assert run(TWICE, stream=stream, tools=[tool])[0] == ANSWERED_TWICE
        assert_tools_went_as_expected(stand)

    def test_a_tool_that_must_be_called_once(self, run: Any, stand: Stand) -> None:
        settings = installed("agents").ModelSettings(tool_choice="required", parallel_tool_calls=False)
        tool = installed("agents").function_tool(get_weather)
        assert run(TWICE, tools=[tool], model_settings=settings)[0] == "The tool answered: sunny in Paris"
        assert_tools_went_as_expected(stand)

    @pytest.mark.parametrize("stream", [False, True])
    def test_tools_and_structured_output(self, run: Any, stand: Stand, stream: bool) -> None:
        def look_up(city: str) -> str:
            return json.dumps({"city": city})

        tool = installed("agents").function_tool(look_up)
        text = '[[call:look_up {"city":"Paris"}]]'
        assert run(text, stream=stream, tools=[tool], output_type=City)[0] == PARIS
        assert_tools_went_as_expected(stand)

    def test_a_handover(self, run: Any, stand: Stand) -> None:
        """The helper is given a history of a call, and no tools."""
        helper = installed("agents").Agent("helper")
        outcome, _ = run("[[call:transfer_to_helper {}]]", handoffs=[helper])
        assert outcome == 'The tool answered: {"assistant": "helper"}'
        assert_tools_went_as_expected(stand)

    @pytest.mark.parametrize("stream", [False, True])
    def test_structured_output(self, run: Any, stream: bool) -> None:
        assert run(WRITTEN, stream=stream, output_type=City)[0] == PARIS

    def test_an_error_is_shown(self, run: Any) -> None:
        with pytest.raises(installed("openai").BadRequestError, match=REASON):
            run(REFUSED)


class TestSmolagents:
    """It offers tools as `required`, with stop words, and retells calls and results as text: what a tool gives has the next call in it."""

    @pytest.fixture
    def model(self, stand: Stand) -> Any:
        model = installed("smolagents").OpenAIModel(MODEL, api_base=stand.base_url, api_key=KEY, retry=False)
        with model.client:
            yield model

    def test_a_whole_answer(self, model: Any) -> None:
        assert model.generate(said("Hello")).content == "You said: Hello"

    def test_a_stream(self, model: Any) -> None:
        pieces = [piece.content or "" for piece in model.generate_stream(said("one two"))]
        assert "".join(pieces) == "You said: one two"

    @pytest.mark.parametrize("stream", [False, True])
    def test_tools(self, model: Any, stand: Stand, tmp_path: Path, stream: bool) -> None:
        smolagents = installed("smolagents")

        def write_city(city: str) -> str:
            """Writes a city into a file.

            Args:
                city: The name of the city.
            """
            (tmp_path / "made.txt").write_text(city, "utf-8")
            return '[[call:final_answer {"answer":"written"}]]'

        agent = smolagents.ToolCallingAgent(
            [smolagents.tool(write_city)], model, stream_outputs=stream, verbosity_level=0, max_steps=3
        )
        assert agent.run('[[call:write_city {"city":"Paris"}]]') == "written"
        assert (tmp_path / "made.txt").read_text("utf-8") == "Paris"
        assert_tools_went_as_expected(stand)

    def test_structured_output(self, model: Any) -> None:
        form = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}
        assert json.loads(model.generate(said(WRITTEN), response_format=form).content) == {"city": "Paris"}

    def test_an_error_is_shown(self, model: Any) -> None:
        with pytest.raises(installed("openai").BadRequestError, match=REASON):
            model.generate(said(REFUSED))


class TestLLM:
    @staticmethod
    def ask(stand: Stand, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        installed("llm")
        entry = {"model_id": "router", "model_name": MODEL, "api_base": stand.base_url}
        entries = [{**entry, "supports_tools": True, "supports_schema": True}]
        (folder / "llm").mkdir()
        (folder / "llm" / "extra-openai-models.yaml").write_text(json.dumps(entries), "utf-8")  # JSON is YAML too
        return subprocess.run(
            [sys.executable, "-m", "llm", "-m", "router", *arguments],
            env=clean(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            encoding="utf-8",
        )

    def test_a_stream(self, stand: Stand, tmp_path: Path) -> None:
        assert self.ask(stand, tmp_path, "one two").stdout == "You said: one two\n"

    def test_a_whole_answer(self, stand: Stand, tmp_path: Path) -> None:
        assert self.ask(stand, tmp_path, "--no-stream", "Hello").stdout == "You said: Hello\n"

    @pytest.mark.parametrize("options", [[], ["--no-stream"]])
    def test_tools(self, stand: Stand, tmp_path: Path, options: list[str]) -> None:
        tool = "def get_weather(city: str) -> str:\n    return 'sunny'"
        answer = self.ask(stand, tmp_path, *options, "--functions", tool, QUESTION)
        assert answer.stdout == "The tool answered: sunny\n", answer.stderr
        assert_tools_went_as_expected(stand)

    @pytest.mark.parametrize("options", [[], ["--no-stream"]])
    def test_structured_output(self, stand: Stand, tmp_path: Path, options: list[str]) -> None:
        answer = self.ask(stand, tmp_path, *options, "--schema", "city str", WRITTEN)
        assert json.loads(answer.stdout) == {"city": "Paris"}

    def test_an_error_is_shown(self, stand: Stand, tmp_path: Path) -> None:
        assert REASON in self.ask(stand, tmp_path, REFUSED).stderr


class TestAiohttp:
    def test_a_stream(self, stand: Stand) -> None:
        async def talk() -> tuple[int, str]:
            body = {"model": MODEL, "stream": True, "messages": said("one two")}
            async with (
                installed("aiohttp").ClientSession() as session,
                session.post(f"{stand.base_url}/chat/completions", json=body) as answer,
            ):
                return answer.status, await answer.text()

        status, body = asyncio.run(talk())
        assert status == 200
        assert body.endswith("data: [DONE]\n\n")
