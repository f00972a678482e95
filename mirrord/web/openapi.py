"""The OpenAPI 3.1 document, made from the table of routes and the dataclasses of their responses."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from mirrord._version import __version__
from mirrord.web.routes import PROBES, Parameter, ProblemDocument, Returned, Route, refusal

_TOKENS = "daemon.api_token of the manifest; to read also daemon.read_token, if that is set"
_ETAG = {"description": "Of these bytes", "schema": {"type": "string"}}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags that the client has",
    "schema": {"type": "string"},
}
_REFERENCE = "#/components/schemas/{model}"


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document, as JSON's own types."""
    table = list(routes)
    shapes = [returned.shape for route in table for returned in route.returns.values() if returned.shape]
    references, schemas = _schemas([*shapes, *(route.body for route in table if route.body), ProblemDocument])
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mirrord",
            "version": __version__,
            "description": "A running daemon. Times are seconds since the epoch (UTC), "
            "durations seconds, sizes bytes. Every error is a problem document (RFC 9457). HEAD is answered as GET.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _TOKENS}},
        },
    }


def _schemas(shapes: Iterable[type]) -> tuple[dict[type, Any], dict[str, Any]]:
    """The reference of each shape, and all schemas."""
    mode: JsonSchemaMode = "serialization"
    adapters: list[tuple[type, JsonSchemaMode, TypeAdapter[Any]]]
    adapters = [(shape, mode, TypeAdapter(shape)) for shape in dict.fromkeys(shapes)]
    made, definitions = TypeAdapter.json_schemas(adapters, ref_template=_REFERENCE)
    return {shape: schema for (shape, _), schema in made.items()}, definitions["$defs"]


def _operation(route: Route, references: Mapping[type, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}{route.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "responses": {str(status): _response(returned, references) for status, returned in route.returns.items()},
    }
    for status, text in _refusals(route):
        operation["responses"].setdefault(str(status), _response(refusal(text), references))
    operation["responses"]["default"] = _response(refusal("An error"), references)
    parameters = [_parameter(one) for one in route.parameters]
    if route.has_etag:
        parameters.append(_IF_NONE_MATCH)
        operation["responses"]["200"]["headers"] = {"ETag": _ETAG}
        operation["responses"]["304"] = {"description": "If-None-Match has its ETag", "headers": {"ETag": _ETAG}}
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content = {"application/json": {"schema": references[route.body]}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["security"] = [{"token": []}] if route.needs_token else [{}, {"token": []}]
    return operation


def _refusals(route: Route) -> Iterator[tuple[int, str]]:
    """Statuses that come before the handler, or from the journal, with their texts."""
    if route.path in PROBES:
        return
    yield 401, "Wrong token, or none"
    yield 421, "The host is no name of this mirrord"
    yield 429, "This address sends too many requests: wait for as long as Retry-After says"
    if route.path.startswith("/api/"):
        yield 400, "A parameter that the path does not have, or a value of another form"
    if route.needs_token:
        yield 403, "POST is off, or a page of another origin sent the request"
        yield 413, "The body is too large"
    if route.has_etag or route.needs_token:
        yield 503, "Journal or store do not answer"


def _parameter(one: Parameter) -> dict[str, Any]:
    shown = {"name": one.name, "in": one.location, "description": one.text, "schema": dict(one.schema)}
    return shown | ({"required": True} if one.location == "path" else {})


def _response(returned: Returned, references: Mapping[type, Any]) -> dict[str, Any]:
    schema = references[returned.shape] if returned.shape else {"type": "string"}
    if returned.shape is None and returned.media == "application/json":
        schema = {"type": "object"}
    return {"description": returned.text, "content": {returned.media: {"schema": schema}}}
