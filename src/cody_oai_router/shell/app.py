"""Routes: which request goes where, and the small pages. Chat is in `chat.py`, who may call in `guard.py`."""

import asyncio
import re
import traceback
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from cody_oai_router import __version__
from cody_oai_router.dialects import openai_chat
from cody_oai_router.faults import STATUS, Fault, Kind
from cody_oai_router.http1 import Request, Response, ServerExchange
from cody_oai_router.shell.chat import JSON, Chat, Headers, Record
from cody_oai_router.shell.guard import Guard
from cody_oai_router.shell.log import Entry
from cody_oai_router.shell.workshop import Workshop

# A request that the client gave up has no status of its own; nginx's number says so in the log.
CLIENT_LEFT: Final = 499

_PREFIX: Final = re.compile(r"^(?:/v1)*(?=/|$)")
_KIND_OF: Final[dict[int, Kind]] = {status: kind for kind, status in STATUS.items() if kind != "model_not_found"}

_CHAT: Final = "/chat/completions"
_ROUTES: Final[dict[str, str]] = {_CHAT: "POST", "/models": "GET", "/health": "GET", "/": "GET"}
_MODEL: Final = "/models/"


class App:
    """The application that the HTTP server calls."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._guard = Guard(shop.settings)
        self._live: dict[ServerExchange, Chat] = {}
        self._demo: Headers = [(b"x-router-demo", b"true")] if shop.demo else []
        self._pages: dict[str, Callable[[Headers], Response]] = {"/health": self._health, "/": self._welcome}

    def admit(self, request: Request) -> Response | None:
        """Lets a request in on its head, or refuses it."""
        fault = self._guard.refusal(request, normal_path(request.path)) or _encoded(request)
        response = self._guard.preflight(request) if fault is None else self._refusal(fault, self._headers(request))
        if response is not None:
            record = Record()
            record.status = response.status
            record.failure = fault.kind if fault is not None else ""
            self._shop.log.request(self._entry(request, record))
        return response

    def malformed(self, status: int, reason: str, request: Request | None) -> Response:
        """Words what the HTTP layer refuses by itself; a head that could not be read has no method and no path to log."""
        kind = _KIND_OF.get(status, "bad_request" if status < STATUS["internal"] else "unavailable")
        record = Record()
        record.status, record.failure = status, kind
        unread = Entry(method="-", path="-", status=status, duration=0.0, attempts=0, failure=kind)
        self._shop.log.request(unread if request is None else self._entry(request, record))
        return self._refusal(Fault(kind=kind, message=reason, override=status), self._headers(request))

    def failed(self, request: Request, error: BaseException | None) -> Response:
        """Answers for a defect of ours: an id for the client, the rest for the log."""
        number = self._shop.clock.identifier()
        trace = "".join(traceback.format_exception(error)) if error else "no answer was given"
        self._shop.log.note(f"defect {number} at {request.method} {request.path}: {trace}")
        message = f"The router failed; its log says more under {number}. Please report it."
        return self._refusal(Fault(kind="internal", message=message), self._headers(request))

    def break_off(self) -> None:
        """Ends every answer that still runs, with an error that its client can see."""
        for chat in tuple(self._live.values()):
            chat.break_off()

    async def handle(self, request: Request, exchange: ServerExchange) -> None:
        """Answers one request and logs it."""
        record = Record()
        try:
            await self._answering(request, exchange, record)
        except asyncio.CancelledError:
            record.status, record.failure = CLIENT_LEFT, "client_left"
            raise
        except Exception:
            record.status, record.failure = STATUS["internal"], "internal"
            raise
        finally:
            self._live.pop(exchange, None)
            self._shop.log.request(self._entry(request, record))

    def _answering(self, request: Request, exchange: ServerExchange, record: Record) -> Coroutine[Any, Any, None]:
        """Gives what answers a request. Not a coroutine around it: a stream holds each of them as long as it is open (300 bytes)."""
        path = normal_path(request.path)
        if path == _CHAT and request.method == _ROUTES[_CHAT]:
            chat = self._live[exchange] = Chat(self._shop, request, exchange, self._headers(request), record)
            return chat.answer()
        return self._page(path, request, exchange, record)

    async def _page(self, path: str, request: Request, exchange: ServerExchange, record: Record) -> None:
        headers = self._headers(request)
        method = method_of(path)
        answer: Response | Fault
        if method is None:
            answer = _unknown(request)
        elif request.method != method and (method, request.method) != ("GET", "HEAD"):
            answer = _wrong_method(request, method)
            headers.append((b"allow", method.encode()))
        elif path in self._pages:
            answer = self._pages[path](headers)
        else:
            answer = await self._models(path, headers)
        if isinstance(answer, Fault):
            record.failure = answer.kind
            answer = self._refusal(answer, headers)
        record.status = answer.status
        exchange.respond(answer)

    async def _models(self, path: str, headers: Headers) -> Response | Fault:
        catalogue = await self._shop.instance.catalogue()
        fault = self._shop.instance.listing_fault
        if not catalogue.models and fault is not None and fault.kind != "not_found":
            return fault
        if path == "/models":
            return Response(200, [JSON, *headers], openai_chat.write_models(catalogue.listed()))
        name = path.removeprefix(_MODEL)
        model = catalogue.described(name)
        if model is None:
            message = f"The model `{name}` does not exist on this Sourcegraph instance; GET /v1/models lists all."
            return Fault(kind="model_not_found", message=message, param="model")
        return Response(200, [JSON, *headers], openai_chat.write_model(model))

    def _health(self, headers: Headers) -> Response:
        instance = self._shop.instance
        status = {
            "status": "ok",
            "version": __version__,
            "demo": self._shop.demo,
            "sourcegraph": {
                "api": self._shop.settings.sourcegraph_api,
                "llm_api": instance.llm_api,
                "api_version": instance.site.api_version,
            },
        }
        return Response(200, [JSON, *headers], msgspec.json.encode(status))

    def _welcome(self, headers: Headers) -> Response:
        mode = "It runs in demo mode: a simulator answers, not Sourcegraph.\n\n" if self._shop.demo else ""
        text = _WELCOME.format(version=__version__, mode=mode)
        return Response(200, [(b"content-type", b"text/plain; charset=utf-8"), *headers], text.encode())

    def _headers(self, request: Request | None) -> Headers:
        cors = self._guard.cors(request) if request is not None else []
        return [(b"x-request-id", f"req_{self._shop.clock.identifier()}".encode()), *self._demo, *cors]

    def _refusal(self, fault: Fault, headers: Headers) -> Response:
        body = openai_chat.write_fault(self._shop.redacted(fault))
        wait = [(b"retry-after", str(fault.retry_after).encode())] if fault.retry_after is not None else []
        return Response(fault.status, [JSON, *headers, *wait], body)

    def _entry(self, request: Request, record: Record) -> Entry:
        usage = record.usage
        return Entry(
            method=request.method,
            path=request.path,
            status=record.status,
            duration=asyncio.get_running_loop().time() - request.received,
            model=record.model,
            ref=record.ref,
            first_byte=record.first_byte,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
            attempts=record.attempts,
            failure=record.failure,
        )


@lru_cache(maxsize=64)
def normal_path(path: str) -> str:
    """Gives a path without any `/v1` in front, percent-encoding and a slash at the end: base URLs are written in every way."""
    bare = _PREFIX.sub("", unquote(path), count=1)
    return bare.rstrip("/") or "/"


def method_of(path: str) -> str | None:
    """Gives the method that a path takes; nothing for a path that there is not."""
    if path.startswith(_MODEL) and len(path) > len(_MODEL):
        return "GET"
    return _ROUTES.get(path)


def _encoded(request: Request) -> Fault | None:
    encoding = request.header(b"content-encoding")
    if encoding in (None, b"", b"identity"):
        return None
    message = "Compressed request bodies are not read; send it plain."
    return Fault(kind="bad_request", message=message, code="unsupported_encoding", override=415)


def _unknown(request: Request) -> Fault:
    message = (
        f"Invalid URL ({request.method} {request.path}). POST /v1/chat/completions and GET /v1/models are served here."
    )
    return Fault(kind="not_found", message=message)


def _wrong_method(request: Request, method: str) -> Fault:
    message = f"Not allowed to {request.method} on {request.path} (HINT: use {method})."
    return Fault(kind="method_not_allowed", message=message)


_WELCOME: Final = """\
Cody OAI Router {version}: OpenAI's API, answered by your company's Sourcegraph.

{mode}Point any OpenAI client at this address (with or without /v1) and give it any API key:

    POST /v1/chat/completions    streamed or not
    GET  /v1/models              the models of your instance
    GET  /health
"""
