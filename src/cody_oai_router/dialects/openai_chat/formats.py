"""Reads `response_format`: what an answer is to be."""

from cody_oai_router.conversation import Format
from cody_oai_router.dialects.openai_chat.fields import BOOLEAN, OBJECT, TEXT, Refused, field, inner, invalid, present
from cody_oai_router.dialects.openai_chat.messages import Raws, missing


def read_format(fields: Raws) -> Format | None:
    """Reads `response_format`; plain text, which is the default, is none."""
    wanted = field(fields, "response_format", OBJECT)
    if wanted is None:
        return None
    kind = inner(wanted, "type", TEXT, "response_format")
    match kind:
        case None:
            raise Refused(missing("response_format.type"))
        case "text":
            return None
        case "json_object":
            return Format(kind="json_object")
        case "json_schema":
            return _schema(wanted)
    message = f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'."
    raise invalid("response_format.type", message, "invalid_value")


def _schema(wanted: Raws) -> Format:
    where = "response_format.json_schema"
    described = inner(wanted, "json_schema", OBJECT, "response_format")
    if described is None:
        raise Refused(missing(where))
    name = inner(described, "name", TEXT, where)
    if not name:
        raise Refused(missing(f"{where}.name"))
    inner(described, "schema", OBJECT, where)
    strict = inner(described, "strict", BOOLEAN, where) or False
    schema = present(described, "schema")
    return Format(
        kind="json_schema",
        name=name,
        description=inner(described, "description", TEXT, where),
        schema=schema,
        strict=strict and schema is not None,  # without a schema there is nothing to check it against
    )
