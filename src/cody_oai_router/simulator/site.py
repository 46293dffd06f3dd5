"""The routes of a simulated Sourcegraph: who may ask, what is asked, and the answer as a value."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from cody_oai_router.simulator import catalogue, chat_answer, graphql, refusals
from cody_oai_router.simulator.chat_request import read_chat
from cody_oai_router.simulator.instance import Instance
from cody_oai_router.simulator.model import Reply, respond
from cody_oai_router.simulator.refusals import REFUSALS, Refusal
from cody_oai_router.simulator.wire import Answer, Received, json_answer, sniffed_answer, write_json

CHAT = "/.api/llm/chat/completions"


def respond_to(request: Received, instance: Instance, reply: Reply | None = None) -> Answer:
    """Returns the ordinary answer to a request; a `reply` takes the place of what the scripted model would say."""
    if request.path == "/healthz":
        return sniffed_answer(instance.profile.version.encode())
    refusal = _admit(request, instance)
    if refusal is not None:
        return refusals.answer(refusal, instance.profile)
    if request.path == CHAT:
        return _chat(request, instance, reply)
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
_OWN_TOKEN = re.compile(r"(sgp_(?:(?:[0-9a-f]{16}|local)_)?)?[0-9a-f]{40}|sgp_.*")


def _admit(request: Received, instance: Instance) -> Refusal | None:
    """The middleware before every handler: authentication, client header, licence gate."""
    profile = instance.profile
    if refusal := _authenticate(request, instance):
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
    on = instance.cody_enabled
    config: dict[str, bool | int | str] = {
        "codyEnabled": on,
        "chatEnabled": on,
        "autoCompleteEnabled": on,
        "customCommandsEnabled": on,
        "attributionEnabled": False,
        "attribution": "none",
        "smartContextWindowEnabled": True,
        "modelsAPIEnabled": True,
    }
    if instance.profile.api_version is not None:
        config["latestSupportedCompletionsStreamAPIVersion"] = instance.profile.api_version
    return _pretty(config)


def _pretty(value: Mapping[str, object]) -> Answer:
    """Writes configuration as it was recorded: indented by four, ended by a newline, called plain text."""
    return sniffed_answer(write_json(value, indent=4) + b"\n")


def _graphql(request: Received, instance: Instance) -> Answer:
    body = request.json if isinstance(request.json, dict) else {}
    return json_answer(graphql.execute(str(body.get("query", "")), instance))


_ROUTES: Mapping[str, tuple[str, Callable[[Received, Instance], Answer]]] = {
    _MODELS: ("GET", _models),
    "/.api/modelconfig/supported-models.json": ("GET", _supported),
    "/.api/client-config": ("GET", _client_config),
    "/.api/graphql": ("POST", _graphql),
}
