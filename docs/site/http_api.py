"""Generate the reference of the HTTP service from its OpenAPI schema."""

from collections.abc import Iterator
from typing import Any

from microgpt_serve.app import create_app
from microgpt_serve.service_settings import ServiceSettings


def page() -> str:
    """Return the reference as Markdown, without its introduction."""
    schema = create_app(ServiceSettings()).openapi()
    lines = list[str]()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            lines += operation_lines(f"{method.upper()} {path}", operation)
    lines.append("## Schemas\n")
    for name, model in sorted(schema["components"]["schemas"].items()):
        lines += model_lines(name, model)
    return "\n".join(lines)


def operation_lines(title: str, operation: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that describe one route and method."""
    yield f"## {title}\n"
    yield f"{operation.get('description') or operation.get('summary', '')}\n"
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        yield f"Request: {content(body)}\n"
    yield "| Status | Meaning | Content |\n| --- | --- | --- |"
    for status, response in operation["responses"].items():
        yield f"| {status} | {response['description']} | {content(response.get('content', {}))} |"
    yield ""


def content(types: dict[str, Any]) -> str:
    """Return the media types of a request or response body with their schemas."""
    found = [f"{shape(value.get('schema', {}))} (`{kind}`)" for kind, value in types.items()]
    return " or ".join(found)


def model_lines(name: str, model: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that describe one schema: a table of its fields."""
    yield f"### {name}\n"
    if model.get("description"):
        yield f"{' '.join(model['description'].split())}\n"
    if "properties" not in model:
        yield f"{shape(model)}\n"
        return
    yield "| Field | Type | Meaning |\n| --- | --- | --- |"
    for field, value in model["properties"].items():
        notes = [" ".join(value.get("description", "").split())]
        if field in model.get("required", ()):
            notes.append("Required.")
        elif value.get("default") is not None:
            notes.append(f"Default: `{value['default']}`.")
        yield f"| `{field}` | {shape(value)} | {' '.join(filter(None, notes))} |"
    yield ""


def shape(schema: dict[str, Any]) -> str:
    """Return the type that a schema describes, with its limits and links to other schemas."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(shape(option) for option in options)
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum") or [schema["const"]])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        kind = f"array of {shape(schema.get('items', {}))}"
    bounds = [f"{sign} {schema[key]:.0f}" for key, sign in LIMITS.items() if key in schema]
    return f"{kind} ({', '.join(bounds)})" if bounds else kind


LIMITS = {
    "minimum": "≥",
    "maximum": "≤",
    "exclusiveMinimum": ">",
    "exclusiveMaximum": "<",
    "minLength": "length ≥",
    "maxLength": "length ≤",
    "minItems": "items ≥",
    "maxItems": "items ≤",
}
