"""The language of Cody's stream (`/.api/completions/stream`), the upstream half: what every Cody client speaks.

Contract §4 says what it takes and gives, and what each api-version of it changed; 0 stands for none at all.
"""

from cody_oai_router.dialects.cody_stream.reading import Reader, read_reply
from cody_oai_router.dialects.cody_stream.writing import write_prompt

__all__ = ["Reader", "read_reply", "write_prompt"]
