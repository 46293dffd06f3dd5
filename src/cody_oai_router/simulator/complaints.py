"""What is wrong with a decoded request behind Cody's stream: said inside a 200, as `event: error` (contract §4.3, §4.4).

Some texts are Sourcegraph's own; those of a provider are relayed by the gateway as JSON within text. The words that the
contract does not know are Anthropic's [I], whatever the provider.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from cody_oai_router.simulator.instance import Instance
from cody_oai_router.simulator.refusals import REFUSALS
from cody_oai_router.simulator.stream_request import Asked, Turn
from cody_oai_router.simulator.stream_version import LEGACY
from cody_oai_router.simulator.wire import write_json

GATEWAY = "Sourcegraph Cody Gateway: unexpected status code "


def complaint(asked: Asked, instance: Instance) -> str | None:
    """Returns the first thing that is wrong, as the text of the error event."""
    return next((text for check in _CHECKS if (text := check(asked, instance))), None)


_Check = Callable[[Asked, Instance], str | None]

_IMAGE = re.compile(r"data:(?P<media>[\w.+-]+/[\w.+-]+);base64,[A-Za-z0-9+/]+={0,2}")
_IMAGE_TYPES = {"image/png", "image/jpeg", "image/webp", "image/gif"}
_HOTTEST = 1  # Claude's temperature ends here (trap 47)


def _relayed(message: str) -> str:
    """Returns a provider's 400 as the gateway embeds it."""
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    return f"{GATEWAY}400: {write_json(error).decode()}"


def _check_speakers(asked: Asked, _instance: Instance) -> str | None:
    """A system turn comes first and once; legacy conversations have none at all (contract §4.1, §4.3)."""
    known = {"human", "assistant"} if asked.version == LEGACY else {"human", "assistant", "system"}
    stranger = next((turn.speaker for turn in asked.turns if turn.speaker not in known), None)
    if stranger is not None:
        return REFUSALS["speaker"].about(stranger).text
    late = any(turn.speaker == "system" for turn in asked.turns[1:])
    return "system role can only be used in the first message" if late else None


def _conversation(asked: Asked) -> Sequence[Turn]:
    return [turn for turn in asked.turns if turn.speaker != "system"]


def _check_empty(asked: Asked, _instance: Instance) -> str | None:
    """A message needs words, also beside tool calls (trap 6); images and tool results speak for themselves."""
    if not _conversation(asked):
        return _relayed("messages: at least one message is required")
    for turn in asked.turns:
        if not (turn.text or turn.of("image_url") or turn.of("tool_result") or turn.of("file")):
            return REFUSALS["empty"].text
    blank = any(part.get("type") == "text" and not part.get("text") for turn in asked.turns for part in turn.parts)
    return _relayed("messages: text content blocks must be non-empty") if blank else None


def _check_order(asked: Asked, instance: Instance) -> str | None:
    """Who may speak after whom (traps 9 to 11)."""
    speakers = [turn.speaker for turn in _conversation(asked)]
    if instance.alternates(asked.model) and any(a == b for a, b in pairwise(speakers)):
        return REFUSALS["google alternation" if asked.model.provider == "google" else "alternation"].text
    if speakers[0] == "assistant" and asked.model.provider == "anthropic":
        return _relayed('messages: first message must use the "user" role')
    prefilled = speakers[-1] == "assistant" and not instance.accepts_prefill(asked.model)
    return _relayed(REFUSALS["prefill"].text) if prefilled else None


def _check_tool_history(asked: Asked, _instance: Instance) -> str | None:
    """Each call has its result in the very next message, and no result comes without a call (trap 8)."""
    edge = Turn("", ())
    for position, (turn, following) in enumerate(pairwise([edge, *_conversation(asked), edge])):
        called, answered = _ids(turn, "tool_call"), _ids(following, "tool_result")
        if missing := [one for one in called if one not in answered]:
            return _relayed(
                f"messages.{position - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
                "message."
            )
        if orphans := [one for one in answered if one not in called]:
            return _relayed(
                f"messages.{position}: unexpected `tool_use_id` found in `tool_result` blocks: {orphans[0]}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
    return None


def _ids(turn: Turn, kind: str) -> list[str]:
    return [str(part.get("id") or "") for part in turn.of(kind)]


def _check_calls(asked: Asked, _instance: Instance) -> str | None:
    """A call has an id, a name and arguments, `{}` at the least (trap 7)."""
    calls = [call for turn in asked.turns for call in turn.of("tool_call")]
    whole = all(call.get("id") and call.get("name") and call.get("arguments") for call in calls)
    return None if whole else _relayed("messages: tool_use.input: Input should be a valid dictionary")


def _check_images(asked: Asked, _instance: Instance) -> str | None:
    """Four types of image as data URLs; other types, files in their place and addresses fail (trap 26, trap 27)."""
    return next((_relayed(text) for url in _images(asked) if (text := _image_problem(url))), None)


def _images(asked: Asked) -> Iterator[str]:
    if asked.model.can("vision"):
        yield from (str(image.get("url") or "") for turn in asked.turns for image in turn.of("image_url"))


def _image_problem(url: str) -> str | None:
    match = _IMAGE.fullmatch(url)
    if match is None:
        return "messages: image.source: only base64-encoded data URLs are supported"
    if match["media"] not in _IMAGE_TYPES:
        return (
            "messages: image.source.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
        )
    return None


def _check_max_tokens(asked: Asked, _instance: Instance) -> str | None:
    """`max_tokens` is not the name of this field here; a thinking model needs more of them than it thinks."""
    if asked.max_tokens <= 0:
        return _relayed(REFUSALS["no max_tokens"].text)
    return _relayed(REFUSALS["budget"].text) if asked.max_tokens <= asked.model.thinking_budget else None


def _check_stream(asked: Asked, _instance: Instance) -> str | None:
    """Clients do not stream from a model whose listing says `streamDisabled` (contract §6.3)."""
    return _relayed(REFUSALS["no stream"].text) if asked.streams and asked.model.can("streamDisabled") else None


def _check_temperature(asked: Asked, _instance: Instance) -> str | None:
    hot = asked.model.provider == "anthropic" and (asked.body.get("temperature") or 0) > _HOTTEST
    return _relayed("temperature: range: 0..1") if hot else None


def _check_tools(asked: Asked, _instance: Instance) -> str | None:
    """Tools need a name of their own and an object as parameters (traps 59 and 60)."""
    names = [tool.name for tool in asked.tools]
    if len(set(names)) < len(names):
        return _relayed("tools: Tool names must be unique.")
    for position, tool in enumerate(asked.tools):
        if not tool.name:
            return _relayed(f"tools.{position}.custom.name: String should have at least 1 character")
        if not isinstance(tool.parameters, dict) or tool.parameters.get("type") != "object":
            return _relayed(f"tools.{position}.custom.input_schema.type: Input should be 'object'")
    return None


_CHECKS: Sequence[_Check] = (
    _check_speakers,
    _check_stream,
    _check_max_tokens,
    _check_empty,
    _check_order,
    _check_calls,
    _check_tool_history,
    _check_images,
    _check_temperature,
    _check_tools,
)
