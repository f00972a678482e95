"""The five operations that mirrord sends itself, as the SDK's model of S3 describes them. Pure.

Owns how parameters become headers and a query, and how the headers of an answer become its fields. The names come from
the model, so that both clients have the same parameters and fields. `signing` signs, `answers` reads errors and bodies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from botocore.model import OperationModel, ServiceModel, Shape, StructureShape
from botocore.utils import parse_timestamp

from mirrord.headers import http_date
from mirrord.s3.wire.signing import encoded_query

Parameters = Mapping[str, Any]
Fields = dict[str, Any]

_REPEATABLE = {"HeadObject": True, "ListObjectsV2": True, "UploadPart": True, "PutObject": False, "CopyObject": False}
"""Operation -> `Operation.repeatable`."""
METHODS = {
    "put_object": "PutObject",
    "upload_part": "UploadPart",
    "head_object": "HeadObject",
    "copy_object": "CopyObject",
    "list_objects_v2": "ListObjectsV2",
}
"""Name of the SDK's method -> operation."""
_WITHOUT_HEADER = frozenset({"Bucket", "Key", "Body", "Metadata", "CopySource"})
_BY_THE_SDK = frozenset({"SSECustomerKey", "CopySourceSSECustomerKey"})
"""Parameters that the SDK completes with others."""
_META = "x-amz-meta-"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `model` is the SDK's, for answers that are rare."""

    model: OperationModel
    method: str
    query: tuple[tuple[str, str], ...]
    """The fixed fields of the query."""
    parameters: frozenset[str]
    """Names of the parameters that this module can send."""
    headers: Mapping[str, str]
    """Parameter -> header, in lower case."""
    queries: Mapping[str, str]
    """Parameter -> query field."""
    fields: Mapping[str, tuple[str, Callable[[str], Any]]]
    """Header of an answer -> field, and the function that reads it."""
    metadata: bool
    """The answer has the metadata of the object."""
    repeatable: bool
    """A request that met a closed connection may be sent twice (docs/trust.md, guarantee 6)."""

    @property
    def name(self) -> str:
        return self.model.name

    def request_headers(self, given: Parameters) -> list[tuple[str, str]]:
        """The headers of the parameters, without those of every request."""
        names = self.headers
        headers = [(names[name], _text(value)) for name, value in given.items() if name in names]
        if metadata := given.get("Metadata"):
            headers += [(_META + name, value) for name, value in metadata.items()]
        if source := given.get("CopySource"):
            headers.append(("x-amz-copy-source", _copy_source(source)))
        return headers

    def request_query(self, given: Parameters) -> str:
        names = self.queries
        fields = [(names[name], str(value)) for name, value in given.items() if name in names]
        return encoded_query([*self.query, *fields]) if fields or self.query else ""

    def answer_fields(self, headers: Mapping[str, str]) -> Fields:
        """The fields of a successful answer that are in its headers. ValueError: a number is none."""
        known, fields, metadata = self.fields, Fields(), dict[str, str]()
        for header, value in headers.items():
            if header in known:
                name, read = known[header]
                fields[name] = read(value)
            elif self.metadata and header.startswith(_META):
                metadata[header[len(_META) :]] = value
        if metadata:
            fields["Metadata"] = metadata
        return fields


def operations(service: ServiceModel) -> dict[str, Operation]:
    """The five operations by the name of the SDK's method."""
    return {method: _operation(service.operation_model(name)) for method, name in METHODS.items()}


def _operation(model: OperationModel) -> Operation:
    _, _, query = model.http["requestUri"].partition("?")
    given, answered = _members(model.input_shape), _members(model.output_shape)
    headers, queries = _located(given, "header"), _located(given, "querystring")
    return Operation(
        model,
        model.http["method"],
        tuple((name, value) for name, _, value in (field.partition("=") for field in query.split("&")) if name),
        frozenset(headers) | frozenset(queries) | (_WITHOUT_HEADER & given.keys()),
        {name: header.lower() for name, header in headers.items()},
        queries,
        {header.lower(): (name, _reader(answered[name])) for name, header in _located(answered, "header").items()},
        "Metadata" in answered,
        _REPEATABLE[model.name],
    )


def _members(shape: Shape | None) -> Mapping[str, Shape]:
    return shape.members if isinstance(shape, StructureShape) else {}


def _located(members: Mapping[str, Shape], location: str) -> dict[str, str]:
    """Member -> its name in the request or the answer."""
    return {
        name: shape.serialization["name"]
        for name, shape in members.items()
        if shape.serialization.get("location") == location
        and name not in _BY_THE_SDK | _WITHOUT_HEADER
        and "timestampFormat" not in shape.serialization
    }


def _copy_source(source: Mapping[str, str]) -> str:
    return quote(f"{source['Bucket']}/{source['Key']}", safe="/~")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return formatdate(value.timestamp(), usegmt=True)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reader(shape: Shape) -> Callable[[str], Any]:
    return _READERS.get(shape.type_name, str)


def answer_date(value: Any) -> datetime | None:
    """A date of an answer, in any form that the SDK reads. None if it cannot be parsed: the rest of the answer can
    still be used."""
    if isinstance(value, str) and value.endswith("GMT") and (seconds := http_date(value)) is not None:
        return datetime.fromtimestamp(seconds, UTC)
    try:
        return parse_timestamp(value)
    except ValueError:
        return None


_READERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "long": int,
    "boolean": lambda value: value.lower() == "true",
    "timestamp": answer_date,
}
