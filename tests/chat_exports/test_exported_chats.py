"""Commands read chats as WhatsApp, ChatGPT, Discord and Slack export them."""

import json
import shutil
from pathlib import Path

import pytest
from commands import ok, refused

EXPORTS = Path(__file__).parent / "exports"
SMALL = ("--n-embd", "8", "--n-head", "2", "--steps", "2")


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    shutil.copytree(EXPORTS, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize(
    ("data", "me"),
    [("whatsapp_android.txt", "Ben"), ("slack", "ben"), ("conversations.json", None)],
)
def test_every_command_reads_an_exported_chat(microgpt, exports, data, me) -> None:
    source = ("--data", data, *(("--me", me) if me else ()))
    done = ok(microgpt("train", "--chat", *source, *SMALL, "--model", "m"))
    assert "note: left out" in done.stderr
    state = json.loads((exports / "m/train_state.json").read_text())
    assert state.get("given", {}).get("me") == me
    assert "examples" not in json.loads((exports / "m/meta.json").read_text())
    ok(microgpt("train", "--resume", "m", "--steps", "3"))
    n_docs = json.loads(ok(microgpt("eval", "m", *source, "--json")).stdout)["n_docs"]
    info = ok(microgpt("info", *source))
    assert info.stdout.startswith(f"{data}: conversations\n  documents:          {n_docs};")
    assert " ".join(source[2:]) in info.stderr


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["train", "--chat", "--data", "discord.json"], "name the assistant with --me NAME"),
        (["train", "--data", "discord.json", "--me", "Anna"], "--me requires --chat"),
        (["train", "--chat", "--data", "."], "cannot read .: Is a directory, but not a Slack"),
    ],
)
def test_a_wrong_assistant_name_or_export_file_is_refused(microgpt, exports, args, problem) -> None:
    assert problem in refused(microgpt(*args))


def test_reading_a_whatsapp_export_as_lines_prints_a_note(microgpt, exports) -> None:
    note = "whatsapp_ios.txt may be a WhatsApp export; --chat --me NAME reads its conversations"
    for command in (["info"], ["train", "--steps", "2"]):
        assert note in ok(microgpt(*command, "--data", "whatsapp_ios.txt")).stderr
