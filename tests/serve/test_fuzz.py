"""Tests that each request generated from the OpenAPI schema gets a documented response.

With FUZZ=10 in the environment, the test sends ten times as many requests.
"""

import json
import os
import re
from http import HTTPStatus

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

PAGES = [  # method, path and number of valid requests; as many invalid ones are sent
    ("POST", "/microgpt/v1/generate", 30),
    ("POST", "/microgpt/v1/chat", 30),
    ("POST", "/v1/completions", 30),
    ("POST", "/v1/chat/completions", 30),
    ("GET", "/v1/models", 5),
    ("GET", "/v1/models/{name}", 20),
    ("GET", "/health", 5),
    ("GET", "/metrics", 5),
]
# Errors that the schema cannot express: unknown characters, and limits on products of fields.
LEGITIMATE = re.compile(
    r"(\w+(\[\d+\])?: )?("
    r"no character of the message|the vocabulary does not contain"
    r"|the prompt has|a prompt must have|the tokens of a prompt must"
    r"|the message has)|the last message must be|messages.*content (must|is missing|has a part)"
    r"|.* does not exist(; use |$)"
    r"|n times the number of prompts"
    r"|seed must be less than"  # in the schema, the limit is a rounded float
)
load_all_checks()
# positive_data_acceptance is left out: some valid requests are refused with errors in LEGITIMATE.
ALL = [one for one in CHECKS.get_all() if one.__name__ != "positive_data_acceptance"]
OPTIONS = {
    "generation": {"allow-x00": True},
    "max-stream-events": 100_000,
    "checks": {"negative_data_rejection": {"expected-statuses": [400, 401, 404, 405, 413, 415]}},
}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)

pytestmark = pytest.mark.slow


def message_of(path: str, body) -> str:
    """Return the message of an error in the format of microgpt's API or of OpenAI's."""
    assert list(body) == ["error"]
    if not path.startswith("/v1/"):
        return body["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]["message"]


def check(case, response, *, is_valid: bool) -> None:
    case.validate_response(response, checks=ALL)
    status = response.status_code
    assert status in {200, 400, 404, 405, 413, 415}, (status, response.text)
    content_type = response.headers["content-type"][0]
    if content_type.startswith("text/event-stream"):
        assert response.content.endswith(b"data: [DONE]\n\n")
        assert b'"error"' not in response.content.replace(b'\\"', b"")
    elif status != HTTPStatus.OK:
        assert content_type == "application/json"
        message = message_of(case.operation.path, json.loads(response.content))
        if is_valid:
            assert LEGITIMATE.match(message), (case.body, message)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize(("method", "path", "n_cases"), PAGES)
def test_every_response_agrees_with_the_openapi_schema(talk, method, path, n_cases, mode) -> None:
    config = SchemathesisConfig.from_dict(OPTIONS)
    schema = schemathesis.openapi.from_dict(talk.get("/openapi.json").json, config=config)
    schema.config.update(base_url=f"http://{talk.host}:{talk.port}")
    operation = schema[path][method]
    if mode is GenerationMode.NEGATIVE and method == "GET":
        pytest.skip("there is nothing to get wrong")

    @settings(
        max_examples=n_cases * int(os.environ.get("FUZZ", "1")),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case) -> None:
        if mode is GenerationMode.POSITIVE and method == "POST":
            case.body.pop("model", None)
        check(case, case.call(), is_valid=mode is GenerationMode.POSITIVE)

    send()
    assert talk.get("/health").status == 200
