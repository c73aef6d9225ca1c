import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from commands import SERVE, run_process
from hypothesis import given
from hypothesis import strategies as st

from microgpt.errors import ConfigError
from microgpt_serve.middleware import rate_limit_storage
from microgpt_serve.middleware.keys_and_rate_limit import ApiKeys, parse_keys

MODEL = "/v1/models"

PRINTED = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
KEYS = st.text(PRINTED, min_size=1).filter(lambda key: not key.startswith("#"))
BLANK = st.text(" \t\r")
COMMENTS = st.builds("{}#{}".format, BLANK, st.text(st.characters(exclude_characters="\n")))
FILLERS = st.lists(st.one_of(BLANK, COMMENTS))


@given(st.lists(st.tuples(FILLERS, BLANK, KEYS, BLANK), min_size=1, unique_by=lambda it: it[2]))
def test_a_key_file_can_contain_comments_and_blank_lines(parts) -> None:
    lines = [line for filler, a, key, b in parts for line in (*filler, a + key + b)]
    assert parse_keys("\n".join(lines), "f") == [key for _, _, key, _ in parts]


@given(st.text())
def test_any_key_file_yields_valid_keys_or_a_one_line_error(text) -> None:
    try:
        keys = parse_keys(text, "f")
    except ConfigError as error:
        (sentence,) = str(error).splitlines()
        assert sentence.startswith("f")
        assert sentence.isascii()
    else:
        assert all(key.isascii() and key.isprintable() and " " not in key for key in keys)
        assert len(set(keys)) == len(keys) > 0


@given(st.lists(KEYS, min_size=1, unique=True), st.binary())
def test_only_a_listed_api_key_is_accepted(tmp_path_factory, keys, other) -> None:
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text("\n".join(keys))
    file.chmod(0o600)
    ours = ApiKeys("one", str(file))
    known = {key.encode() for key in (*keys, "one")}
    assert len({ours.find(key) for key in known} - {None}) == len(known)
    assert (ours.find(other) is None) == (other not in known)


@pytest.fixture
def keys_file(tmp_path) -> Path:
    file = tmp_path / "api-keys"
    file.write_text("# alice\nk-alice\n\n# bob\nk-bob\n")
    file.chmod(0o600)
    return file


def status(server, key: str) -> int:
    return server.get(MODEL, Authorization=f"Bearer {key}".strip()).status


def test_keys_from_the_file_and_the_environment_are_accepted(serve, names_dir, keys_file) -> None:
    server = serve(names_dir, MICROGPT_API_KEYS_FILE=str(keys_file), MICROGPT_API_KEY="k-env")
    assert [status(server, key) for key in ("k-alice", "k-bob", "k-env")] == [200] * 3
    assert [status(server, key) for key in ("k-eve", "", "# bob", "k-alice k-bob")] == [401] * 4
    assert server.get(MODEL).status == 401
    assert server.get("/openapi.json").json["security"] == [{"key": []}]
    assert not [key for key in ("k-alice", "k-bob", "k-env", "k-eve") if key in server.log]


def test_the_rate_limit_counts_each_key_separately(serve, names_dir, keys_file) -> None:
    settings = {"MICROGPT_API_KEYS_FILE": str(keys_file), "MICROGPT_RATE_LIMIT": "2/hour"}
    server = serve(names_dir, **settings)
    assert [status(server, "k-alice") for _ in range(3)] == [200, 200, 429]
    assert [status(server, "k-bob") for _ in range(3)] == [200, 200, 429]
    assert [status(server, f"k-eve{i}") for i in range(3)] == [401, 401, 429]
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded: API keys")
    assert status(server, "k-alice") == 429  # a reload forgives nothing


def test_sighup_reloads_the_api_keys(serve, names_dir, keys_file) -> None:
    server = serve(names_dir, MICROGPT_API_KEYS_FILE=str(keys_file))
    keys_file.write_text("k-bob\nk-carol\nk-dave\n")
    server.signal(signal.SIGHUP)
    server.wait_for(r"reloaded: API keys \(3\)")
    assert [status(server, key) for key in ("k-alice", "k-bob", "k-carol")] == [401, 200, 200]


def test_a_reload_with_invalid_keys_keeps_the_old_keys(serve, names_dir, keys_file) -> None:
    server = serve(names_dir, MICROGPT_API_KEYS_FILE=str(keys_file))
    keys_file.write_text("k-carol\nk carol\n")
    server.signal(signal.SIGHUP)
    server.wait_for(
        "error: reload failed: .*api-keys, line 2: a key .*; the API keys are unchanged"
    )
    server.wait_for("reloaded: names")
    assert [status(server, key) for key in ("k-alice", "k-carol")] == [200, 401]
    metrics = server.get("/metrics", Authorization="Bearer k-bob").body.decode()
    assert 'microgpt_reloads_total{model="",result="failed"} 1.0' in metrics
    assert "carol" not in server.log


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, ": the API keys cannot be read: No such file or directory"),
        ("", " has no API key; write one key per line"),
        ("# later\n\n", " has no API key; write one key per line"),
        ("k-1\nalice k-2\n", ", line 2: a key must contain only ASCII characters and no spaces"),
        ("k-1\n\nclé\n", ", line 3: a key must contain only ASCII characters and no spaces"),
        ("k-1\nk-2\nk-1\n", ", line 3: duplicate of the key on line 1"),
    ],
)
def test_a_service_with_an_invalid_key_file_does_not_start(
    names_dir, tmp_path, content, problem
) -> None:
    file = tmp_path / "api-keys"
    if content is not None:
        file.write_text(content)
    env = {"MODEL_DIR": str(names_dir), "PORT": "0", "MICROGPT_API_KEYS_FILE": str(file)}
    done = run_process([SERVE], env={**os.environ, **env})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {file}{problem}")
    assert "Traceback" not in done.stderr
    assert "k-1" not in done.stderr


def test_a_key_file_must_be_regular_and_small(tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 3 * 2**30)
    for name, problem in (("fifo", "not a regular file"), ("sparse", "larger")):
        with pytest.raises(ConfigError, match=f"cannot be read: {problem}"):
            ApiKeys(None, str(tmp_path / name))


def test_a_key_file_that_everyone_can_read_causes_a_warning(serve, names_dir, keys_file) -> None:
    keys_file.chmod(0o644)
    server = serve(names_dir, MICROGPT_API_KEYS_FILE=str(keys_file))
    server.wait_for("warning: all users of this machine can read the API keys; run: chmod o-r /")
    assert server.get("/health").status == 200


def test_a_public_service_with_a_key_file_logs_no_warning(serve, names_dir, keys_file) -> None:
    server = serve(names_dir, HOST="0.0.0.0", MICROGPT_API_KEYS_FILE=str(keys_file))
    assert "warning" not in server.log


def test_a_jump_of_the_clock_changes_no_rate_limit(monkeypatch) -> None:
    storage = rate_limit_storage.SqliteStorage(":memory:")
    now = time.time()
    assert asyncio.run(storage.incr("client", 60)) == 1
    for jump_s in (1e8, -1e8):
        monkeypatch.setattr("time.time", lambda jump_s=jump_s: now + jump_s)
        assert asyncio.run(storage.get("client")) == 1
    later = time.monotonic() + 61
    monkeypatch.setattr(rate_limit_storage, "monotonic", lambda: later)
    assert asyncio.run(storage.get("client")) == 0
