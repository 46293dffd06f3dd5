"""The routes of a simulated Sourcegraph: who may ask, what is asked, and the answer as a value."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from cody_oai_router.simulator import catalogue, chat_answer, graphql, refusals, stream_answer
from cody_oai_router.simulator.chat_request import read_chat
from cody_oai_router.simulator.complaints import complaint
from cody_oai_router.simulator.instance import Instance
from cody_oai_router.simulator.model import Fail, Reply, respond
from cody_oai_router.simulator.refusals import REFUSALS, Refusal
from cody_oai_router.simulator.stream_request import Asked, read_request
from cody_oai_router.simulator.stream_version import read_version
from cody_oai_router.simulator.wire import Answer, Received, json_answer, sniffed_answer, write_json

CHAT = "/.api/llm/chat/completions"
STREAM = "/.api/completions/stream"


def respond_to(request: Received, instance: Instance, reply: Reply | None = None) -> Answer:
    """Returns the ordinary answer to a request; a `reply` takes the place of what the scripted model would say."""
    if request.path == "/healthz":
        return sniffed_answer(instance.profile.version.encode())
    if not _exists(request.path, instance):
        return refusals.answer(REFUSALS["not found"], instance.profile)
    refusal = _admit(request, instance)
    if refusal is not None:
        return refusals.answer(refusal, instance.profile)
    if request.path == CHAT:
        return _chat(request, instance, reply)
    if request.path == STREAM:
        return _stream(request, instance, reply)
    if request.path.startswith(f"{_MODELS}/") and request.method == "GET":
        return _one_model(request, instance)
    method, handler = _ROUTES.get(request.path, ("", None))
    if handler is None:
        return refusals.answer(REFUSALS["not found"], instance.profile)
    if request.method != method:
        return refusals.answer(REFUSALS["method"], instance.profile)
    return handler(request, instance)


_LLM = "/.api/llm/"
_MODELS = "/.api/llm/models"
_SUPPORTED = "/.api/modelconfig/supported-models.json"
_CONFIG = "/.api/client-config"
_NEWEST = 9  # the api-version of every release since 6.2 (contract §4.1)
_SINCE_5_6 = {_SUPPORTED, _CONFIG}
_OWN_TOKEN = re.compile(r"(sgp_(?:(?:[0-9a-f]{16}|local)_)?)?[0-9a-f]{40}|sgp_.*")


def _exists(path: str, instance: Instance) -> bool:
    """Tells whether this version has the route at all (contract §1.1, §1.2)."""
    profile = instance.profile
    return not (profile.ancient and path in _SINCE_5_6) if not path.startswith(_LLM) else profile.llm


def _admit(request: Received, instance: Instance) -> Refusal | None:
    """The middleware before every handler: authentication, client header, licence gate."""
    profile = instance.profile
    refusal = _authenticate(request, instance)
    if profile.dotcom and refusal == REFUSALS["private"]:
        return REFUSALS["not authenticated"] if request.path.startswith((_LLM, STREAM)) else None
    if refusal is not None:
        return refusal
    if profile.wants_requested_with and not re.fullmatch(r"\S+ \S+", request.header("X-Requested-With") or ""):
        return REFUSALS["no requested with"]
    if not request.path.startswith(_LLM):
        return None
    if profile.gated:
        return REFUSALS[f"gate {instance.gate}"]
    return None if instance.cody_enabled else REFUSALS["cody off"]


def _authenticate(request: Received, instance: Instance) -> Refusal | None:
    """`token` for access tokens, `Bearer` for OAuth's; the LLM API rewrites `Bearer` since 5.7 (contract §2.1, §4.2).

    An unknown scheme is ignored, which makes the request anonymous (trap 57).
    """
    header = request.header("Authorization")
    if header is None:
        return REFUSALS["private"]
    scheme, _, token = header.partition(" ")
    if not token:
        return REFUSALS["bad authorization"]
    own = _OWN_TOKEN.fullmatch(instance.token) is not None
    rewritten = request.path.startswith(_LLM) and not instance.profile.old
    if scheme.lower() == "bearer" and (not own or rewritten):
        return None if token == instance.token else REFUSALS["bad token"]
    if scheme.lower() != "token":
        return REFUSALS["private"]
    return None if own and token == instance.token else REFUSALS["bad token"]


def _chat(request: Received, instance: Instance, reply: Reply | None) -> Answer:
    if request.method != "POST":
        return refusals.answer(REFUSALS["method"], instance.profile)
    chat = read_chat(request.json, instance)
    if isinstance(chat, Refusal):
        return refusals.answer(chat, instance.profile)
    said = reply or respond(chat.messages, chat.tools, demo=instance.demo)
    return chat_answer.answer(chat, said, instance, _timeout(request))


def _stream(request: Received, instance: Instance, reply: Reply | None) -> Answer:
    """Cody's stream: the method and the switch first, then what stands in the query, then the body (contract §4.8)."""
    asked: Asked | Refusal
    if request.method != "POST":
        asked = REFUSALS["method"]
    elif not instance.cody_enabled:
        asked = REFUSALS["cody off"]
    else:
        version = read_version(request.query, instance)
        asked = version if isinstance(version, Refusal) else read_request(request.json, version, instance)
    if isinstance(asked, Refusal):
        return refusals.stream_answer(asked, instance.profile)
    if wrong := complaint(asked, instance):
        said = Reply((Fail(wrong),))
    else:
        thinks = asked.model.shows_thoughts
        said = reply or respond(asked.messages, asked.tools, demo=instance.demo, thinks=thinks)
    return stream_answer.answer(asked, said, instance, _timeout(request))


def _timeout(request: Received) -> float | None:
    """Reads `X-Timeout-Ms` as seconds (contract §2.1); anything but digits is ignored."""
    value = request.header("X-Timeout-Ms") or ""
    return int(value) / 1000 if value.isdecimal() else None


def _models(_request: Received, instance: Instance) -> Answer:
    listed = instance.listed
    data = None if listed is None else [catalogue.write_entry(model, instance.created) for model in listed]
    return json_answer({"object": "list", "data": data})


def _one_model(request: Received, instance: Instance) -> Answer:
    ref = unquote(request.path.removeprefix(f"{_MODELS}/"))
    model = catalogue.find(instance.listed or (), ref)
    if model is None:
        return refusals.answer(REFUSALS["no such model"], instance.profile)
    return json_answer(catalogue.write_entry(model, instance.created))


def _supported(_request: Received, instance: Instance) -> Answer:
    return _pretty(catalogue.write_supported(instance.listed, instance.profile.version))


def _client_config(_request: Received, instance: Instance) -> Answer:
    """The flags in the order in which they were recorded; the last one came with 5.8, `attribution` in 2025."""
    on, newest = instance.cody_enabled, instance.profile.api_version
    attribution = {"attribution": "none"} if newest == _NEWEST else {}
    announced = {} if newest is None else {"latestSupportedCompletionsStreamAPIVersion": newest}
    config = {
        "codyEnabled": on,
        "chatEnabled": on,
        "autoCompleteEnabled": on,
        "customCommandsEnabled": on,
        "attributionEnabled": False,
        **attribution,
        "smartContextWindowEnabled": True,
        "modelsAPIEnabled": True,
        **announced,
    }
    return _pretty(config)


def _pretty(value: Mapping[str, object]) -> Answer:
    """Writes configuration as it was recorded: indented by four, ended by a newline, called plain text."""
    return sniffed_answer(write_json(value, indent=4) + b"\n")


def _graphql(request: Received, instance: Instance) -> Answer:
    body = request.json if isinstance(request.json, dict) else {}
    known = _authenticate(request, instance) is None
    return json_answer(graphql.execute(str(body.get("query", "")), instance, anonymous=not known))


_ROUTES: Mapping[str, tuple[str, Callable[[Received, Instance], Answer]]] = {
    _MODELS: ("GET", _models),
    _SUPPORTED: ("GET", _supported),
    _CONFIG: ("GET", _client_config),
    "/.api/graphql": ("POST", _graphql),
}
