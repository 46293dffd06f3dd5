"""Every error text of the simulator, in one table, with the clause of the contract that it comes from.

`<X>` and `<Y>` stand for what the request brought. A section marked [I] means that the contract knows no text and this
one is invented: nothing should match on it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from cody_oai_router.simulator.profiles import Profile
from cody_oai_router.simulator.wire import Answer, json_answer, text_answer


class Refusal(NamedTuple):
    """One way to say no.

    `inner` failures happen behind the LLM API's handler, which old versions wrap in a 500 (contract §3.4); `plain` ones
    come from the middleware before it and are text in every version.
    """

    status: int
    text: str
    section: str
    inner: bool = False
    plain: bool = False
    type: str = "invalid_request_error"

    def about(self, x: object, y: object = "") -> "Refusal":
        """Returns the refusal with `<X>` and `<Y>` filled in."""
        return self._replace(text=self.text.replace("<X>", str(x)).replace("<Y>", str(y)))


_FILTERS = "ClientCodyIgnoreCompatibilityError"
_FAILED = "completion.process_completion"
_NEW_MODEL_TEXT = (
    "requested model '<X>' failed validation: <Y>. Expected format '${ProviderID}::${APIVersionID}::${ModelID}'. "
    "To fix this problem, send a request to `GET /.api/llm/models` to see the list of supported models."
)

REFUSALS: Mapping[str, Refusal] = {
    # before the handler
    "private": Refusal(401, "Private mode requires authentication.", "§3.4, §4.2", plain=True),
    "bad token": Refusal(401, "Invalid access token.", "§3.4", plain=True),
    "bad authorization": Refusal(401, "Invalid Authorization header.", "§3.4", plain=True),
    "cody off": Refusal(
        401, "cody is not enabled: cody.enabled is false in the site configuration", "§1.2", plain=True
    ),
    "no requested with": Refusal(400, "X-Requested-With header is missing or malformed", "§9.1 [I]", plain=True),
    "gate 403": Refusal(403, "The Cody API is not included in this instance's license", "§3.4 [I]"),
    "gate 404": Refusal(404, "404 page not found", "§3.4 [I]", plain=True),
    "not found": Refusal(404, "404 page not found", "§1.1 [I]", plain=True),
    "method": Refusal(405, "Method Not Allowed", "§4.8", plain=True),
    # the handler itself
    "decode": Refusal(500, "decoder.Decode: <X>", "§2.2"),
    "role": Refusal(400, "invalid value for MessageRole: <X>", "§2.3"),
    "system": Refusal(400, "system role is not supported", "§2.3"),
    "old model": Refusal(
        400,
        "model <X> is not in the correct format. Expected format: ${ProviderID}::${APIVersionID}::${ModelID}",
        "§2.4",
    ),
    "new model": Refusal(400, _NEW_MODEL_TEXT, "§2.4"),
    "n": Refusal(400, "n must be nil or 1", "§2.2"),
    "field": Refusal(400, "<X> is not supported", "§2.2"),
    "no such model": Refusal(404, "Model not found", "§1.2", plain=True),
    # behind it
    "unknown model": Refusal(400, 'unsupported chat model "<X>" (default "<Y>")', "§2.4", inner=True),
    "speaker": Refusal(400, "expected message speaker to be 'human' or 'assistant', got <X>", "§4.1", inner=True),
    "empty": Refusal(500, "message content cannot be empty", "§2.3", inner=True, type=_FAILED),
    "alternation": Refusal(500, "found consecutive messages with the same speaker", "§2.3", inner=True, type=_FAILED),
    "google alternation": Refusal(500, "consistent speaker role is not allowed", "§2.3", inner=True, type=_FAILED),
    "prefill": Refusal(
        400,
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        "§2.3, trap 10",
        inner=True,
    ),
    "blocks": Refusal(500, "unsupported content part: tool_result", "§2.3 [I]", inner=True, type=_FAILED),
    "budget": Refusal(400, "max_tokens should be greater than thinking.budget_tokens", "§2.2", inner=True),
    "no max_tokens": Refusal(500, "max_tokens: Field required", "§2.2 [I]", inner=True, type=_FAILED),
    "no stream": Refusal(400, "this model does not support streaming", "§6.3 [I]", inner=True),
    "bad tools": Refusal(400, "tools.<X>.input_schema: <Y>", "§2.2 [I]", inner=True),
    "deadline": Refusal(500, "context deadline exceeded", "§3.2", inner=True, type=_FAILED),
    # Cody's stream
    "api version": Refusal(406, "Unsupported API Version (Please update your client)", "§4.1"),
    "client param": Refusal(406, f'{_FILTERS}: "<X>" query param is required.', "§4.1"),
    "client name": Refusal(
        406, f"{_FILTERS}: please use one of the supported clients: vscode, jetbrains, web.", "§4.1"
    ),
    "client semver": Refusal(400, f'{_FILTERS}: "client-version" is no semantic version: "<X>"', "§4.1 [I]"),
    "client old": Refusal(
        406, f"{_FILTERS}: Cody for <X> <Y> does not support context filters. Please upgrade your client.", "§4.1 [I]"
    ),
    "undecodable": Refusal(400, "could not decode request body", "§4.3"),
    "no repo": Refusal(400, "repo not found", "§4.3 [I]", type="prompt_rewrite_error"),
    "not authenticated": Refusal(403, "not authenticated", "§4.2", plain=True),
    "provider": Refusal(500, "<X>", "§3.4", inner=True, type=_FAILED),
}


def wrapped(status: int, text: str) -> str:
    """Returns how the handler of August 2024 reports whatever its inner call answered (contract §3.4)."""
    return (
        "failed to forward request to apiHandler: handler returned unexpected status code: "
        f"got {status} want 200, response body: {text}"
    )


def answer(refusal: Refusal, profile: Profile) -> Answer:
    """Returns the refusal as this version sends it: wrapped text, plain text or `{"message","type"}`."""
    if refusal.inner and profile.old:
        return text_answer(500, wrapped(refusal.status, refusal.text))
    if refusal.plain or profile.old:
        return text_answer(refusal.status, refusal.text)
    return json_answer(body(refusal), refusal.status)


def stream_answer(refusal: Refusal, profile: Profile) -> Answer:
    """Returns the refusal as Cody's stream sends it: never wrapped, JSON since 6.5 (contract §1.2)."""
    if refusal.plain or not profile.json_errors:
        return text_answer(refusal.status, refusal.text)
    return json_answer(body(refusal), refusal.status)


def body(refusal: Refusal) -> dict[str, str]:
    """Returns the JSON error of 5.7 and later."""
    return {"message": refusal.text, "type": refusal.type}
