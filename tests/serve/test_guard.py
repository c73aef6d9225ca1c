import pytest
from asgi import ask_app

from microgpt_serve import create_app
from microgpt_serve.middleware import host_of
from microgpt_serve.service_settings import ServiceSettings

GENERATE = "/microgpt/v1/generate"
EVIL = {"Host": "evil.example", "Origin": "http://evil.example", "Sec_Fetch_Site": "cross-site"}


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost.:8080", "localhost"),
        ("[::1]:8080", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("127.0.0.1:", "127.0.0.1"),
        ("my_box.local", "my_box.local"),
        ("", ""),
        ("::1", ""),
        ("[localhost]", ""),
        ("localhost@evil.example", ""),
        ("user@localhost", ""),
        ("localhost, evil.example", ""),
        ("löcalhost", ""),
    ],
)
def test_the_host_of_a_request_is_normalised_and_empty_if_invalid(authority, host) -> None:
    assert host_of(authority) == host


def test_a_request_for_a_foreign_host_gets_a_403_response(names) -> None:
    refused = names.request("POST", GENERATE, {}, **EVIL)
    assert refused.status == 403
    assert refused.json == {
        "error": "the host evil.example is not allowed; add it to MICROGPT_ALLOWED_HOSTS"
    }
    refused = names.request("POST", "/v1/completions", {"prompt": "a"}, **EVIL)
    assert refused.status == 403
    assert refused.json["error"]["type"] == "invalid_request_error"
    paths = "/", "/v1/models", "/health", "/docs", "/metrics"
    assert {names.get(path, **EVIL).status for path in paths} == {403}


@pytest.mark.parametrize(
    ("header", "allowed", "refused"),
    [
        ("Host", ["localhost", "127.8.9.10:80", "[::1]:80"],
         ["evil.example", "localhost.evil.example", "user@localhost", "10.0.0.1", "x" * 9000]),
        ("Origin", ["http://localhost:3000", "https://[::1]:3000"],
         ["http://evil.example", "http://localhost.evil.example", "null", ""]),
    ],
)  # fmt: skip
def test_only_local_hosts_pass_and_x_forwarded_is_ignored(names, header, allowed, refused) -> None:
    for value in (*allowed, *refused):
        reply = names.request("POST", GENERATE, {}, **{header: value})
        assert reply.status in ((200,) if value in allowed else (400, 403))  # 400: not a hostname
        assert len(reply.body) < 1000
        assert names.get("/v1/models", **{f"X_Forwarded_{header}": value}).status == 200


def test_settings_decide_which_hosts_and_origins_are_allowed(names_dir) -> None:
    settings = ServiceSettings(
        model_dir=str(names_dir),
        host="0.0.0.0",
        allowed_hosts="Chat.Example, 2001:db8::7",
        cors_origins="https://front.example",
    )
    expected = {
        ("/v1/models", "chat.example", "http://evil.example"): 403,
        ("/v1/models", "chat.example", "https://chat.example"): 200,
        ("/v1/models", "CHAT.example.:8443", "https://front.example"): 200,
        ("/v1/models", "[2001:db8:0::7]:80", "https://front.example"): 200,
        ("/v1/models", "localhost", "https://front.example"): 200,
        ("/v1/models", "10.1.2.3:8080", "https://front.example"): 403,
        ("/health", "10.1.2.3:8080", "https://front.example"): 200,
        ("/health", "evil.example", "https://front.example"): 403,
    }
    asked = [("GET", path, {"headers": {"Host": a, "Origin": b}}) for path, a, b in expected]
    replies = ask_app(create_app(settings), *asked)
    assert [reply.status_code for reply in replies] == [*expected.values()]


def test_unsafe_or_misspelt_settings_cause_warnings_not_refusals(serve, names_dir, names) -> None:
    server = serve(names_dir, HOST="0.0.0.0", MICROGPT_APIKEY="secret")
    server.wait_for("warning: .*DNS rebinding.* MICROGPT_ALLOWED_HOSTS")
    server.wait_for("warning: MICROGPT_APIKEY is not a setting")
    server.wait_for("warning: .* set MICROGPT_API_KEY")
    assert "MICROGPT_API_KEY" not in names.log
    assert server.get("/health", Host="10.1.2.3:8080").status == 200
    assert server.request("POST", GENERATE, {}, Host="chat.example").status == 200


@pytest.mark.parametrize(
    ("options", "is_checked"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "127.0.0.2"}, True),
        ({"host": "::"}, False),
        ({"api_key": "k"}, False),  # no check is needed, as pages of other sites lack the key
        ({"api_key": "k", "allowed_hosts": "a.example"}, True),
        ({"host": "0.0.0.0", "allowed_hosts": "a.example"}, True),
        ({"allowed_hosts": "*"}, False),
    ],
)
def test_host_checks_are_on_with_a_list_or_locally_without_a_key(options, is_checked) -> None:
    assert ServiceSettings(**options).checks_hosts == is_checked
