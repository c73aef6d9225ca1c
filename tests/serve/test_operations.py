import contextlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from asgi import ask_app
from commands import COMMAND
from json_files import edit

from microgpt_serve import ServiceSettings, create_app
from microgpt_serve import server as command
from microgpt_serve.scheduler import QUEUE_LIMIT, TOKENS_PER_PLACE
from microgpt_serve.service_settings import read_settings, unknown_variables

GENERATE = "/microgpt/v1/generate"
NO_HOSTS = """https://a.example a.example/path user@a.example a.example:80 https: [::1]:80
127.0.0.1:8080 1.2.3 *.a.example .."""


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("PORT", "70000", 'PORT must be less than or equal to 65535, got "70000"'),
        ("PORT", "http", 'PORT must be an integer, got "http"'),
        ("MODEL_DIR", "", "MODEL_DIR must not be empty"),
        ("MICROGPT_API_KEY", "", "MICROGPT_API_KEY must contain only ASCII"),
        ("MICROGPT_API_KEY", "se cret", "MICROGPT_API_KEY must contain only ASCII"),
        ("MICROGPT_TIMEOUT_S", "nan", "MICROGPT_TIMEOUT_S must be"),
        *(
            ("MICROGPT_CORS_ORIGINS", origin, "MICROGPT_CORS_ORIGINS must be * or origins")
            for origin in ("https://a.example/", "https://[", "https://a:b:c")
        ),
        *(
            ("MICROGPT_ALLOWED_HOSTS", host, "MICROGPT_ALLOWED_HOSTS must be * or names")
            for host in (*NO_HOSTS.split(), "a b")
        ),
        ("MODEL_DIR", "/no\x1b[2Jwhere", r"/no\x1b[2Jwhere does not exist"),
    ],
)
@pytest.mark.usefixtures("own_logs")
def test_an_invalid_setting_prevents_a_start_and_reveals_no_key(
    names_dir, monkeypatch, capfd, name, value, problem
) -> None:
    for variable, setting in {"MODEL_DIR": str(names_dir), "PORT": "0", name: value}.items():
        monkeypatch.setenv(variable, setting)
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    assert command._serve() == 2
    stderr = capfd.readouterr().err
    assert stderr.splitlines()[-1].startswith(f"error: {problem}")
    assert "se cret" not in stderr


@pytest.mark.usefixtures("own_logs")
def test_a_listening_address_that_cannot_be_used_is_refused(names_dir, monkeypatch, capfd) -> None:
    monkeypatch.setenv("MODEL_DIR", str(names_dir))
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for variable, value, problem in (
            ("PORT", str(port), f"127.0.0.1:{port}: Address already in use"),
            ("HOST", "no.such.host.invalid", "no.such.host.invalid"),
        ):
            monkeypatch.setenv(variable, value)
            assert command._serve() == 2
            last = capfd.readouterr().err.splitlines()[-1]
            assert last.startswith(f"error: cannot listen on {problem}")


def test_unknown_variables_that_look_like_settings_are_reported(monkeypatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("MICROGPT_"):
            monkeypatch.delenv(name)
    right = ("MICROGPT_API_KEY", "microgpt_timeout_s")
    kubernetes = ("MICROGPT_SERVICE_HOST", "MICROGPT_PORT", "MICROGPT_PORT_8080_TCP_ADDR")
    for name in (*right, *kubernetes, "MICROGPT_APIKEY", "microgpt_CORS_ORIGIN", "MICROGPT_HOST"):
        monkeypatch.setenv(name, "secret")
    assert unknown_variables() == ["MICROGPT_APIKEY", "MICROGPT_HOST", "microgpt_CORS_ORIGIN"]


def test_the_port_is_read_from_port_and_never_from_microgpt_port(monkeypatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("MICROGPT_PORT", "tcp://10.0.0.1:80")
    assert read_settings().port == 8080
    monkeypatch.setenv("PORT", "9000")
    assert read_settings().port == 9000


def test_a_request_to_a_full_queue_gets_a_503_with_retry_after(names_dir) -> None:
    app = create_app(ServiceSettings(model_dir=str(names_dir)))
    app.state.service.scheduler._n_tokens = QUEUE_LIMIT * TOKENS_PER_PLACE  # simulate a full queue
    asked = [("POST", "/v1/completions", {"json": {"stream": live}}) for live in (False, True)]
    for reply in ask_app(app, *asked):
        assert reply.status_code == 503
        assert reply.json()["error"]["message"] == "the queue is full; try again later"
        assert reply.headers["retry-after"] == "1"


def test_a_request_past_its_time_limit_gets_a_504_and_is_stopped(brief) -> None:
    reply = brief.generate(num_samples=50)
    assert reply.status == 504
    assert reply.json == {"error": "the reply was not ready within 1 seconds"}
    brief.until_idle()


def test_a_disconnection_stops_the_generation_and_counts_as_499(slow) -> None:
    left = f'microgpt_requests_total{{route="{GENERATE}",status="499"}}'
    names = (left, 'microgpt_tokens_total{model="slow"}')
    before = [*map(slow.metric, names)]
    with slow.send(GENERATE, {"num_samples": 50}):
        slow.get("/health")  # the first request arrived earlier, so it has been accepted
        time.sleep(0.2)
    slow.until_idle()
    n_left, n_tokens = (slow.metric(name) - n for name, n in zip(names, before, strict=True))
    assert n_left == 1
    assert n_tokens > 0


def test_large_requests_do_not_delay_a_small_one(slow) -> None:
    with contextlib.ExitStack() as clients:
        large = [
            clients.enter_context(slow.send(GENERATE, {"num_samples": 50, "seed": i}))
            for i in range(3)
        ]
        slow.get("/health")  # the large requests arrived earlier, so they have been accepted
        assert slow.generate(max_tokens=5).status == 200
        assert not select.select(large, [], [], 0)[0]
    slow.until_idle()


def test_sigterm_finishes_running_requests_and_refuses_new_ones(serve, slow_dir) -> None:
    server = serve(slow_dir, MICROGPT_TIMEOUT_S="60")
    with server.send(GENERATE, {"max_tokens": 2_000}) as running:
        server.get("/health")  # the first request arrived earlier, so it has been accepted
        server.signal(signal.SIGTERM)
        time.sleep(0.3)
        assert not select.select([running], [], [], 0)[0]  # the first request is still running
        with pytest.raises(httpx2.ConnectError):
            server.generate()
        reply = http.client.HTTPResponse(running)
        reply.begin()
        assert len(json.loads(reply.read())["samples"][0]) == 2_000
    assert server.process.wait(20) == 0


def test_a_second_ctrl_c_stops_the_service_at_once(serve, slow_dir) -> None:
    server = serve(slow_dir, MICROGPT_TIMEOUT_S="600")
    with ThreadPoolExecutor(1) as clients:
        running = clients.submit(server.generate, num_samples=50)
        time.sleep(0.2)
        server.signal(signal.SIGINT)
        time.sleep(0.3)
        server.signal(signal.SIGINT)
        server.process.wait(10)
        assert running.exception() or running.result().status != 200


def test_a_key_is_required_except_for_health_and_documentation(names_dir) -> None:
    def posted(key: str) -> tuple[str, str, dict]:
        return "POST", GENERATE, {"json": {}, "headers": {"Authorization": key}}

    refused = [posted(""), posted("Bearer wrong"), posted("s3cret"), ("GET", "/metrics", {})]
    allowed = [posted("Bearer s3cret"), posted("bearer  s3cret")]
    allowed += [("GET", page, {}) for page in ("/health", "/docs", "/openapi.json")]
    app = create_app(ServiceSettings(model_dir=str(names_dir), api_key="s3cret"))
    replies = ask_app(app, *refused, *allowed)
    assert [reply.status_code for reply in replies] == 4 * [401] + 5 * [200]
    for reply in replies[:4]:
        assert [*reply.json()] == ["error"]
        assert reply.headers["www-authenticate"] == "Bearer"


def test_cors_allows_only_configured_origins(names, names_dir) -> None:
    origin = {"Origin": "https://a.example"}
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in names.get("/health", **origin).headers
    app = create_app(
        ServiceSettings(
            model_dir=str(names_dir), cors_origins="https://a.example, https://b.example"
        )
    )
    others = (
        {},
        {"Access-Control-Request-Headers": "authorization,content-type,x-stainless-os"},
        {"Access-Control-Request-Private-Network": "true"},
        {"Origin": "https://evil.example"},
    )
    requests = (("OPTIONS", "/v1/models", {"headers": asked | other}) for other in others)
    *allowed, refused = ask_app(app, *requests)
    for reply in allowed:
        assert reply.status_code == 200
        assert reply.headers["access-control-allow-origin"] == origin["Origin"]
    assert refused.status_code == 403
    assert "add it to MICROGPT_CORS_ORIGINS" in refused.json()["error"]["message"]
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.slow
def test_a_body_that_does_not_arrive_gets_a_408_in_the_format_of_its_api(serve, names_dir) -> None:
    server = serve(names_dir, MICROGPT_TIMEOUT_S="1")
    for path, kind in ((GENERATE, str), ("/v1/completions", dict)):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        reply = server.raw(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert reply.startswith(b"HTTP/1.1 408")
        assert type(json.loads(reply.partition(b"\r\n\r\n")[2])["error"]) is kind


def test_the_microgpt_serve_command_serves_until_ctrl_c(serve, names_dir) -> None:
    command = [COMMAND, "serve", "--model-dir", names_dir, "--port", "0"]
    server = serve(command=command, PORT="99999")
    assert server.get("/health").json["model"] == "names"
    with socket.create_connection((server.host, server.port)):  # shutdown ignores idle clients
        server.signal(signal.SIGINT)
        assert server.process.wait(20) == 0


def test_control_characters_in_a_model_name_are_escaped(serve, names_dir, tmp_path) -> None:
    name = "names\x1b[2J\n2026 GET forged"
    shutil.copytree(names_dir, tmp_path / name)
    edit(tmp_path / name / "meta.json", created_at="now\x1b")
    server = serve(tmp_path / name)
    shown = r"names\x1b[2J\n2026 GET forged"
    assert server.get("/health").json["model"] == shown
    assert server.get("/v1/models").json["data"][0]["id"] == shown
    escaped = shown.replace("\\", "\\\\")  # metrics escape the backslashes of labels
    assert f'microgpt_model_info{{name="{escaped}"' in server.get("/metrics").body.decode()
    assert "\x1b" not in server.log
    assert "\n2026 " not in server.log


def test_the_log_shortens_a_long_path(names) -> None:
    names.get(f"/{'a' * 60_000}")
    names.wait_for(r"\n.{,280}aaa… \S+\n")
