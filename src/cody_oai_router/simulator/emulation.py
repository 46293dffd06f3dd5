"""Tools that are offered in words: found in the instruction, called in words (no clause of the contract; our own test bed).

An instruction is a message that holds a `<TOOLS>` block with one JSON object a line, and shows a marker
`<tool_call_HEX>`; a model that follows it writes its calls between that marker and `</tool_call_HEX>`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Offer(NamedTuple):
    """Tools offered in words, and the nonce with which they are to be called."""

    tools: Sequence[Mapping[str, Any]]
    nonce: str

    def call(self, name: str, arguments: str) -> str:
        """Writes a call; arguments that are no JSON stay as they are, as a model would have it."""
        marker = f"tool_call_{self.nonce}"
        return f'<{marker}>{{"name": {json.dumps(name)}, "arguments": {arguments}}}</{marker}>'


def read_offer(texts: Iterable[str]) -> Offer | None:
    """Returns what the last instruction among these texts offers, with the last nonce that it shows."""
    for text in reversed([*texts]):
        blocks, nonces = _TOOLS.findall(text), _MARKER.findall(text)
        if blocks and nonces:
            return Offer([*_read_lines(blocks[-1])], nonces[-1])
    return None


def without_instruction(text: str) -> str:
    """Returns what a text says beside an instruction: what follows the paragraph in which that ends.

    It ends with the last `</TOOLS>` or marker, so that it may explain itself before and after the tools.
    """
    if not (_TOOLS.search(text) and _MARKER.search(text)):
        return text
    end = max(match.end() for match in _ENDS.finditer(text))
    return text[end:].partition("\n\n")[2]


_TOOLS = re.compile(r"<TOOLS>(.*?)</TOOLS>", re.DOTALL)
_MARKER = re.compile(r"<tool_call_([0-9a-f]+)>")
_ENDS = re.compile(r"</TOOLS>|</?tool_call_[0-9a-f]+>")


def _read_lines(block: str) -> Iterable[Mapping[str, Any]]:
    for line in block.splitlines():
        try:
            tool = json.loads(line)
        except ValueError:
            continue
        if isinstance(tool, dict) and isinstance(tool.get("name"), str):
            yield tool
