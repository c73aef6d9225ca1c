"""The HTTP service: MODEL_DIR and PORT, and the routes of the documents."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("microgpt_serve")

ROLES = ["user", "assistant", "end_turn"]
SERVE = Path(sys.executable).with_name("microgpt-serve")
GENERATE, CHAT = "/microgpt/v1/generate", "/microgpt/v1/chat"
HELLO = [{"role": "user", "content": "hello"}]
ASK_H = [{"role": "user", "content": "h"}]


def request(address: str, body: object = None) -> tuple[int, Any]:
    """Return the status and the JSON of an answer: GET without a body, else POST."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = urllib.request.Request(address, headers={"Content-Type": "application/json"})
    asked.data = None if body is None else content
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def ok(address: str, body: object) -> Any:
    """Return the JSON of an answer, which must be 200."""
    status, answer = request(address, body)
    assert status == 200, answer
    return answer


def refusal(address: str, body: object) -> str:
    """Return the JSON text that refuses a request with 4xx."""
    status, answer = request(address, body)
    assert 400 <= status < 500
    return json.dumps(answer)


@contextmanager
def serving(folder: Path, **env: str) -> Iterator[str]:
    """Start the service in a folder, on a free port, and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env |= {**os.environ, "PORT": str(port)}
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen([SERVE], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            while not _is_ready(f"http://127.0.0.1:{port}/health"):
                assert process.poll() is None, (folder / f"{port}.log").read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


def _is_ready(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=5):
        return True
    return False


# S4.5, S4.35, D.7
@pytest.fixture(scope="module")
def text(names: Path) -> Iterator[str]:
    """The address of the service of the names."""
    with serving(names, MODEL_DIR="output") as address:
        yield address


@pytest.fixture(scope="module")
def talk(chat: Path) -> Iterator[str]:
    """The address of the service of the chat model."""
    with serving(chat, MODEL_DIR="chat-model") as address:
        yield address


@pytest.fixture(scope="module")
def dice(by_hand, tmp_path_factory) -> Iterator[str]:
    """The address of the service of a chat model that answers with random letters h, i and o."""
    folder = tmp_path_factory.mktemp("dice")
    letters, assistant, end = range(3), 4, 5
    logits = {(a, b): 1.0 * b for a in (*letters, assistant) for b in letters}
    logits |= {(letter, end): 0.5 for letter in letters}
    by_hand(folder / "dice", "hio", ROLES, logits)
    with serving(folder, MODEL_DIR="dice") as address:
        yield address


# S4.36, S4.41, S4.32: the document's request, and the samples of the command line
def test_generate_returns_the_samples_of_the_command_line(run, names, text) -> None:
    body = {"num_samples": 5, "temperature": 0.5, "seed": 42}
    answer = ok(text + GENERATE, body)
    assert answer.keys() == {"samples"}
    printed = run("microgpt", "generate", "--num-samples", "5", cwd=names).stdout.splitlines()
    assert printed == [f"sample {i:2d}: {name}" for i, name in enumerate(answer["samples"], 1)]


# S4.38, S4.39, S4.40
def test_generate_defaults_to_one_sample_at_0_5_with_seed_42(text) -> None:
    defaults = ok(text + GENERATE, {})
    assert len(defaults["samples"]) == 1
    five = {"num_samples": 5, "temperature": 0.5, "seed": 42}
    assert defaults["samples"] == ok(text + GENERATE, five)["samples"][:1]
    assert ok(text + GENERATE, {"num_samples": 5}) == ok(text + GENERATE, five)


# S4.38
def test_generate_returns_at_most_50_samples(text) -> None:
    assert len(ok(text + GENERATE, {"num_samples": 50})["samples"]) == 50
    refused = refusal(text + GENERATE, {"num_samples": 51})
    assert "num_samples" in refused
    assert "50" in refused


# S4.38, S4.39, S4.40
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_samples", 0),
        ("num_samples", "x"),
        ("num_samples", None),
        ("temperature", -1),
        ("temperature", "warm"),
        ("seed", 42.5),
        ("seed", "x"),
    ],
)
def test_generate_names_the_field_that_it_refuses(text, field: str, value: object) -> None:
    assert field in refusal(text + GENERATE, {field: value})


# S4.39, S4.40, S4.11: temperature 0 always takes the likeliest letter
def test_generate_depends_on_temperature_and_seed(text) -> None:
    def samples(**fields: float) -> list[str]:
        return ok(text + GENERATE, {"num_samples": 20, **fields})["samples"]

    usual = samples()
    assert len(set(samples(temperature=0))) == 1
    assert len(set(usual)) > 10
    assert samples(temperature=2.0) != usual
    assert samples(seed=7) == samples(seed=7) != usual


# S4.17, S4.8
def test_requests_at_once_share_the_model(text) -> None:
    body = {"num_samples": 5, "seed": 7}
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: ok(text + GENERATE, body), range(16)))
    assert all(answer == answers[0] for answer in answers)


# S4.37, S4.45, S4.22
def test_chat_replies_as_the_assistant(talk) -> None:
    answer = ok(talk + CHAT, {"messages": HELLO, "temperature": 0.5})
    assert (answer["role"], answer["content"]) == ("assistant", "hi there")


# S4.27, S4.22, S4.25b: the reply needs the turns before it
def test_chat_reads_the_whole_conversation(talk) -> None:
    turns = [("user", "how are you"), ("assistant", "fine"), ("user", "bye")]
    messages = [{"role": role, "content": content} for role, content in turns]
    assert ok(talk + CHAT, {"messages": messages, "seed": 43})["content"] == "see you"


# S4.43, S4.44
def test_chat_defaults_to_temperature_0_5_and_seed_42(dice) -> None:
    def reply(**fields: float) -> str:
        return ok(dice + CHAT, {"messages": ASK_H, **fields})["content"]

    assert reply() == reply(temperature=0.5, seed=42)
    usual = [reply(seed=seed) for seed in range(42, 52)]
    assert len(set(usual)) > 5
    assert [reply(seed=seed, temperature=2.0) for seed in range(42, 52)] != usual
    assert set(reply(temperature=0)) == {"o"}


# S4.42
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "hello"}]}, "robot"),
        ({"messages": [{"role": "user"}]}, "content"),
        ({"messages": HELLO, "temperature": -1}, "temperature"),
        ({"messages": HELLO, "seed": "x"}, "seed"),
    ],
)
def test_chat_names_what_it_refuses(talk, body: dict[str, object], named: str) -> None:
    assert named in refusal(talk + CHAT, body)


# S4.27e
def test_a_text_model_does_not_chat(text) -> None:
    assert "chat" in refusal(text + CHAT, {"messages": HELLO})


# S4.27e, S4.36, S4.37
@pytest.mark.parametrize("route", [GENERATE, CHAT])
def test_both_routes_are_posted_to_and_read_json(talk, route: str) -> None:
    assert request(talk + route)[0] == 405
    refusal(talk + route, b"{")


# S4.35b: the default of MODEL_DIR is output
@pytest.mark.slow
def test_without_model_dir_the_service_has_output(names, text) -> None:
    body = {"num_samples": 5}
    with serving(names) as address:
        assert ok(address + GENERATE, body) == ok(text + GENERATE, body)


# S4.35b: the default of PORT is 8080, which is in use here
@pytest.mark.slow
def test_without_port_the_service_takes_8080(run, names) -> None:
    try:
        taken = socket.create_server(("127.0.0.1", 8080))
    except OSError:  # by another program
        taken = socket.socket()
    with taken:
        done = run("microgpt-serve", cwd=names, code=None)
    assert done.returncode != 0
    assert "8080" in done.stderr


# S4.35e
@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"), [("MODEL_DIR", "nosuch"), ("PORT", "x"), ("PORT", "99999")]
)
def test_a_wrong_variable_is_refused_at_the_start(run, names, variable: str, value: str) -> None:
    done = run("microgpt-serve", cwd=names, code=2, **{variable: value})
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert value in error
