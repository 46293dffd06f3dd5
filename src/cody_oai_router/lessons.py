"""What an instance teaches by refusing, in its own words.

Each row is a text of the contract and what answers it. The lesson is applied to the same request at once and remembered
for an hour for that instance and model: so nothing is merged, added or folded where the instance does not
ask for it.
"""

from typing import Final, Literal

from cody_oai_router.faults import Fault

Lesson = Literal[
    "merge", "end-with-user", "fill-blank", "begin-with-user", "whole", "above-thinking-budget", "plain-parts"
]

# What a whole process learns most often, so it is one object.
NO_LESSONS: Final = frozenset[Lesson]()

# How long a lesson holds, in seconds: long enough to cost nothing, short enough that an upgrade of the instance shows
# the same day.
LIFETIME: Final = 3600.0

# Lessons about the endpoint itself, which no provider's words can be mistaken for; others count once they have led to an answer.
UNMISTAKABLE: Final[frozenset[Lesson]] = frozenset({"whole"})

# Lessons about the whole instance; the others are about one model.
OF_INSTANCE: Final[frozenset[Lesson]] = frozenset({"whole", "plain-parts"})

_TEXTS: Final[tuple[tuple[str, Lesson], ...]] = (
    ("found consecutive messages with the same speaker", "merge"),  # contract §2.3, Anthropic
    ("consistent speaker role is not allowed", "merge"),  # contract §2.3, Google
    ("conversation must end with a user message", "end-with-user"),  # contract §2.3, Vertex
    ("message content cannot be empty", "fill-blank"),  # contract §2.3, §4.4
    ("text content blocks must be non-empty", "fill-blank"),  # Anthropic's own words, behind either endpoint
    ("first message must use the", "begin-with-user"),  # trap 11, in Anthropic's words
    ("stream is not supported", "whole"),  # contract §2.2: an instance before 6.0
)

# "max_tokens should be greater than thinking.budget_tokens" (contract §2.2); Anthropic itself says "must", with quotes around the names,
# and others turn it round: a refusal that has all three words says no other thing.
_BUDGET: Final = ("max_tokens", "thinking", "budget")


def learn(fault: Fault) -> Lesson | None:
    """Gives what a refusal teaches, also where it came wrapped in a 500 or 503."""
    words = fault.said.lower()
    if all(word in words for word in _BUDGET):
        return "above-thinking-budget"
    return next((lesson for text, lesson in _TEXTS if text in words), None)
