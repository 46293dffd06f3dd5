"""Python libraries on top of the OpenAI SDK, or beside it, do their smallest JSON, stream and tool tasks."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pydantic
import pytest

from clients.stand import PATIENCE, Stand

MODEL: Final = "gpt-4"
KEY: Final = "any key"
QUESTION: Final = "What is the weather in Paris?"


class City(pydantic.BaseModel):
    """What structured answers are made of here."""

    city: str


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def installed(module: str) -> Any:
    return pytest.importorskip(module, reason=f"{module} is not installed (make test-clients)")


class TestLangChain:
    @staticmethod
    def model(stand: Stand) -> Any:
        chat = installed("langchain_openai").ChatOpenAI
        return chat(base_url=stand.base_url, api_key=KEY, model=MODEL, max_retries=0)

    def test_a_whole_answer(self, newest: Stand) -> None:
        assert self.model(newest).invoke("Hello").content == "You said: Hello"

    def test_a_stream(self, newest: Stand) -> None:
        assert "".join(piece.content for piece in self.model(newest).stream("one two")) == "You said: one two"

    @pytest.mark.parametrize("stream", [False, True])
    def test_tools(self, newest: Stand, stream: bool) -> None:
        weather = installed("langchain_core.tools").tool(get_weather)
        question = installed("langchain_core.messages").HumanMessage(QUESTION)
        model = self.model(newest).bind_tools([weather])
        asked = self.joined(model.stream([question])) if stream else model.invoke([question])
        (call,) = asked.tool_calls
        result = weather.invoke(call)
        assert model.invoke([question, asked, result]).content == f"The tool answered: {result.content}"

    def test_structured_output(self, newest: Stand) -> None:
        model = self.model(newest).with_structured_output(City, method="function_calling")
        assert model.invoke('[[call:City {"city":"Paris"}]]') == City(city="Paris")

    @staticmethod
    def joined(pieces: Any) -> Any:
        first, *rest = pieces
        for piece in rest:
            first += piece
        return first


class TestPydanticAI:
    @staticmethod
    def agent(stand: Stand, **options: Any) -> Any:
        module = installed("pydantic_ai.models.openai")
        provider = installed("pydantic_ai.providers.openai").OpenAIProvider(base_url=stand.base_url, api_key=KEY)
        return installed("pydantic_ai").Agent(module.OpenAIChatModel(MODEL, provider=provider), **options)

    def test_a_whole_answer(self, newest: Stand) -> None:
        assert self.agent(newest, instructions="Be brief.").run_sync("Hello").output == "You said: Hello"

    def test_a_stream(self, newest: Stand) -> None:
        assert asyncio.run(self.streamed(self.agent(newest), "one two")) == "You said: one two"

    def test_tools(self, newest: Stand) -> None:
        answer = self.agent(newest, tools=[get_weather]).run_sync(QUESTION).output
        assert answer == f"The tool answered: {get_weather('city')}"

    def test_streamed_tools(self, newest: Stand) -> None:
        answer = asyncio.run(self.streamed(self.agent(newest, tools=[get_weather]), QUESTION))
        assert answer == f"The tool answered: {get_weather('city')}"

    def test_structured_output(self, newest: Stand) -> None:
        agent = self.agent(newest, output_type=City)
        assert agent.run_sync('[[call:final_result {"city":"Paris"}]]').output == City(city="Paris")

    @staticmethod
    async def streamed(agent: Any, text: str) -> str:
        async with agent.run_stream(text) as answer:
            return "".join([piece async for piece in answer.stream_text(delta=True)])


class TestInstructor:
    @pytest.mark.parametrize("stream", [False, True])
    def test_structured_output(self, newest: Stand, stream: bool) -> None:
        instructor = installed("instructor")
        said = [{"role": "user", "content": '[[call:City {"city":"Paris"}]] [[call:PartialCity {"city":"Paris"}]]'}]
        with installed("openai").OpenAI(base_url=newest.base_url, api_key=KEY) as openai:
            completions = instructor.from_openai(openai).chat.completions
            ask = completions.create_partial if stream else completions.create
            answer = ask(model=MODEL, response_model=City, max_retries=0, messages=said)
            last = list(answer)[-1] if stream else answer
        assert last.city == "Paris"


class TestLLM:
    @staticmethod
    def ask(stand: Stand, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        installed("llm")
        entry = f"- model_id: router\n  model_name: {MODEL}\n  api_base: {stand.base_url}\n  supports_tools: true\n"
        (folder / "extra-openai-models.yaml").write_text(entry, "utf-8")
        return subprocess.run(
            [sys.executable, "-m", "llm", "-m", "router", *arguments],
            env={**os.environ, "LLM_USER_PATH": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            encoding="utf-8",
        )

    def test_a_stream(self, newest: Stand, tmp_path: Path) -> None:
        assert self.ask(newest, tmp_path, "one two").stdout == "You said: one two\n"
        assert newest.chats[-1].json["stream"] is True

    def test_a_whole_answer(self, newest: Stand, tmp_path: Path) -> None:
        assert self.ask(newest, tmp_path, "--no-stream", "Hello").stdout == "You said: Hello\n"

    def test_tools(self, newest: Stand, tmp_path: Path) -> None:
        tool = "def get_weather(city: str) -> str:\n    return 'sunny'"
        assert self.ask(newest, tmp_path, "--functions", tool, QUESTION).stdout == "The tool answered: sunny\n"

    def test_an_error_is_shown(self, newest: Stand, tmp_path: Path) -> None:
        assert "Sourcegraph says: no way" in self.ask(newest, tmp_path, "[[status:400 no way]]").stderr


class TestAiohttp:
    def test_a_stream(self, newest: Stand) -> None:
        async def talk() -> tuple[int, str]:
            body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "one two"}]}
            async with (
                installed("aiohttp").ClientSession() as session,
                session.post(f"{newest.base_url}/chat/completions", json=body) as answer,
            ):
                return answer.status, await answer.text()

        status, body = asyncio.run(talk())
        assert status == 200
        assert body.endswith("data: [DONE]\n\n")
