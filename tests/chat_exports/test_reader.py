"""Tests of the reader of exported chats, with small files in the published formats (`exports/`)."""

import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from commands import ok
from hypothesis import given
from hypothesis import strategies as st

from microgpt import load_conversations
from microgpt.data.tokenizer import ROLES
from microgpt.errors import DataError

EXPORTS = Path(__file__).parent / "exports"
Said = list[list[str]]


def read(path: Path, me: str | None = None) -> tuple[Said, list[str]]:
    """Check that the roles alternate; return the texts of each conversation, and the notes."""
    notes: list[str] = []
    found = load_conversations(path, me=me, tell=notes.append)
    for conversation in found:
        assert len(conversation) % 2 == 0
        assert {message.role for message in conversation[::2]} == {"user"}
        assert {message.role for message in conversation[1::2]} == {"assistant"}
    return [[message.content for message in conversation] for conversation in found], notes


SLEPT = ["slept well?", "no"]
CAKE = ["hi\nare you coming?\nWe begin at 10: bring cake", "sure", "that is the cake", "yummy"]
CAKE += ["happy new year!", "to you, too"]
IOS = ["ich\nund Ben\nich auch", "gut, @Carl\nbis dann"]
CATS = ["What is 2 + 2?", "4", "And in the picture?", "Two cats.\nBoth are black."]
THANKS = ["thanks", "you're welcome"]
GAME = ["see https://example.org?\nme too", "I bring it"]
INSTALL = ["how do I install it?\non Linux", "pip install uv\nthen uv run"]


@pytest.mark.parametrize(
    ("name", "me", "said", "n_left_out"),
    [
        ("whatsapp_android.txt", "Ben", [CAKE, SLEPT], [7, 16, 5, 2]),
        ("whatsapp_ios.txt", "Anna", [IOS], [4, 8, 3, 1]),
        # If a conversation has several branches, only the displayed branch is read.
        ("conversations.json", None, [CATS], [5, 10, 3, 2]),
        ("discord.json", "ben_7", [INSTALL, THANKS], [3, 8, 3, 0]),
        ("telegram.json", "Ben", [GAME], [5, 8, 5, 0]),
    ],
)
def test_a_chat_from_each_app_is_read_and_omissions_are_counted(name, me, said, n_left_out) -> None:
    found, notes = read(EXPORTS / name, me)
    assert found == said
    numbers = [int(number) for number in re.findall(r"\d+", notes[0])]
    assert numbers == n_left_out  # messages: left out, in total, system or empty, unanswered


BUILD = "does the build work for you, @ben?\nnot <here>: see the log in #random"
GENERAL = [[BUILD, "I repair it"], ["done?", "yes"]]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("slack", [*GENERAL, ["lunch?", "at one"]]),
        ("slack/general", GENERAL),
        ("slack/general/2023-12-31.json", GENERAL[1:]),
    ],
)
def test_a_slack_day_file_channel_or_whole_export_can_be_read(name, said) -> None:
    assert read(EXPORTS / name, "ben")[0] == said


def test_slack_user_names_are_found_from_inside_a_channel_folder(monkeypatch) -> None:
    monkeypatch.chdir(EXPORTS / "slack/general")
    with pytest.raises(DataError, match="has no reply from 'Anna Alt'"):
        read(Path("2023-12-31.json"), "Anna Alt")


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("whatsapp_android.txt", "Anna (6 messages), Ben (5 messages)"),
        ("whatsapp_ios.txt", "Anna (3 messages), Carl (1 message), +49 170 1234567 (1 message)"),
        ("discord.json", "ben_7 (2 messages), Anna (2 messages), Carl (1 message)"),
        ("slack", "Anna Alt (3 messages), ben (3 messages), Carl C (1 message)"),
        ("telegram.json", "Anna (1 message), user3 (1 message), Ben (1 message)"),
    ],
)
def test_reading_a_chat_between_people_requires_the_assistants_name(name, named) -> None:
    remedy = "name the assistant with --me NAME (me= in Python): "
    with pytest.raises(DataError) as error:
        read(EXPORTS / name)
    what, _, listed = str(error.value).partition(remedy)
    assert what.endswith("export, a chat between people; ")
    assert sorted(listed.split(", ")) == sorted(named.split(", "))
    with pytest.raises(DataError, match="is called 'Dora'; name the assistant") as error:
        read(EXPORTS / name, "Dora")
    assert str(error.value).endswith(listed)


@pytest.mark.parametrize("name", ["conversations.json", "chat.jsonl"])
def test_the_me_option_is_refused_if_a_chat_has_an_assistant(tmp_path, name) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text('{"prompt": "hi", "completion": "yo"}\n')
    with pytest.raises(DataError, match="omit --me"):
        read(path if name == "chat.jsonl" else EXPORTS / name, "Anna")


@pytest.mark.parametrize(
    ("day", "next_day"),
    [
        ("31/12/2023, 23:59 -", "01/01/2024, 00:01 -"),
        ("12/31/23, 11:59 PM -", "1/1/24, 12:01 AM -"),
        ("31/12/23, 11:59 p. m. -", "1/1/24, 12:01 a. m. -"),
        ("31.12.23, 23:59 -", "01.01.24, 00:01 -"),
        ("31/12/2023 à 23:59 -", "01/01/2024 à 00:01 -"),
        ("2023-12-31 23:59 -", "2024-01-01 00:01 -"),
        ("31.12.2023 klo 23.59 -", "1.1.2024 klo 0.01 -"),
        ("2023. 12. 31. 23:59 -", "2024. 01. 01. 0:01 -"),
        ("[2023/12/31 下午11:59:02]", "[2024/1/1 上午12:01:00]"),
        ("\u200f[\u200f31\u200f/12/2023, 11:59:02\u202fم]", "[1\u200f/1/2024, 12:01:02 ص]"),
        ("[12/31/23, 11:59:02\u202fPM]", "[1/1/24, 12:01:02\u202fAM]"),
        ("2023-12-31, 11:59:02 PM:", "2024-01-01, 12:01:02 AM:"),
        ("[23:59:02, 31/12/23]", "[00:01:02, 1/1/24]"),
        ("\ufeff[29/2/2567 23:59:02]", "[1/3/2567 00:01:02]"),
        ("12/31/R5, 11:59 in the evening -", "1/1/R6, 12:01 in the morning -"),
        # If dates are ambiguous, the order of day and month that gives the shortest span is chosen.
        ("02/01/24, 23:59 -", "02/02/24, 00:01 -"),
        ("01/02/24, 23:59 -", "02/02/24, 00:01 -"),
    ],
)
def test_a_chat_continues_past_midnight_in_many_date_formats(tmp_path, day, next_day) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(f"{day} Anna: still up?\n{next_day} Ben: yes\n", encoding="utf-8")
    assert read(path, "Ben")[0] == [["still up?", "yes"]]


@pytest.mark.parametrize("row", (EXPORTS / "whatsapp_lines.txt").read_text("utf-8").splitlines())
def test_texts_added_by_whatsapp_are_omitted_in_many_languages(tmp_path, row) -> None:
    line, _, said = row.replace("⏎", "\n").partition(" →")
    at = "[1.2.24, 08:00:00]" if line.startswith("iOS ") else "1.2.24, 08:00 -"
    line = line.removeprefix("iOS ")
    path = tmp_path / "chat.txt"
    path.write_text("".join(f"{at} {line}\n" for line in ("A: hi", line, line, "B: yo")))
    assert read(path, "B")[0] == [["hi", f"{said}\n{said}\nyo".strip().replace("\n ", "\n")]]


@pytest.mark.parametrize("me", ["~ YSL", "ysl", "Ann", "O'Neil", '"Bo" Berg', "+49 170 1234567"])
def test_the_me_option_accepts_a_unique_part_of_a_name(tmp_path, me) -> None:
    names = ["~\u202fYSL", "Leo Ann", "Leo O'Neil", 'Dr. Bo "Bo" Berg', "\u202a+49 170 1234567"]
    path = tmp_path / "chat.txt"
    path.write_text("".join(f'1.2.24, 08:00 - {who}: a "b: c"\n' for who in ["Zoe", *names]))
    assert read(path, me)[0][0][1] == 'a "b: c"'
    with pytest.raises(DataError, match=r"2 in .*: Leo Ann \(.*\), Leo O'Neil \([^,]*$"):
        read(path, "Leo")


def test_all_chats_of_a_full_telegram_export_are_read(tmp_path) -> None:
    chat = json.loads((EXPORTS / "telegram.json").read_text("utf-8"))
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"about": "", "chats": {"about": "", "list": [chat, chat]}}))
    assert read(path, "Ben")[0] == [GAME, GAME]


def test_the_date_format_is_chosen_to_fit_all_possible_dates(tmp_path) -> None:
    path = tmp_path / "chat.txt"
    said = (
        "1/2/24, 09:00 - A: a\n1/2/24, 09:01 - B: b\n1/13/24, 09:00 - A: c\n1/13/24, 09:01 - B: d"
    )
    made_up = "31/31/24, 09:00 - a date that I made up: ha"
    path.write_text(f"{said}\n{made_up}\n")
    assert read(path, "B")[0] == [["a", "b"], ["c", f"d\n{made_up}"]]


@pytest.mark.parametrize(("minutes", "n"), [(6 * 60, 1), (6 * 60 + 1, 2)])
def test_a_pause_of_over_6_hours_begins_a_new_conversation(tmp_path, minutes, n) -> None:
    path = tmp_path / "chat.txt"
    later = f"{8 + minutes // 60:02}:{minutes % 60:02}"
    lines = [f"1.2.24, {at} - {who}: x\n" for at in ("08:00", later) for who in "AB"]
    path.write_text("".join(lines))
    assert len(read(path, "B")[0]) == n


def _chatgpt(**changes: Any) -> list[dict[str, Any]]:
    (chat, *_) = json.loads((EXPORTS / "conversations.json").read_text())
    return [{**chat, **changes}]


def _discord(**changes: Any) -> dict[str, Any]:
    found = json.loads((EXPORTS / "discord.json").read_text())
    found["messages"][1] |= changes
    return found


def test_messages_of_discord_bots_are_omitted(tmp_path) -> None:
    path, author = tmp_path / "chat.json", {"name": "counter", "nickname": None, "isBot": True}
    path.write_text(json.dumps(_discord(author=author)))
    said, _ = read(path, "ben_7")
    assert "how do I install it?" not in str(said)


CYCLE = {"a": {"parent": "b"}, "b": {"parent": "a"}}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (_chatgpt(mapping=CYCLE, current_node="a"), "item 1 .*node 'a' is its own ancestor"),
        (_chatgpt(current_node="x"), "item 1 has a format .*there is no 'x'"),
        (_chatgpt(mapping=[], current_node=-1), "item 1 .*a value has the wrong type"),
        ([{"title": "x", "mapping": {}}], "item 1 .*there is no 'current_node'"),
        ([{"title": "x", "mapping": {}, "current_node": None}], "has no reply from 'assistant'"),
        (_discord(timestamp="yesterday"), "item 2 .*Invalid isoformat string: 'yesterday'"),
        (_discord(author=None), "item 2 has a format .*a value has the wrong type"),
        ({"guild": {}, "channel": {}, "messages": []}, "Discord .*: nobody has written a message"),
        ({"type": "a", "id": 1, "messages": [{"type": "message", "from_id": 1}]}, "no 'text'"),
        ({"chats": [], "from_id": 1}, "item 1 has a format .*a value has the wrong type"),
        ([{"type": "message", "ts": "noon", "user": "U1", "text": "a"}], "item 1 .*'noon'"),
    ],
)
def test_an_unusable_export_is_refused_with_its_path_and_problem(tmp_path, value, problem) -> None:
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match=problem) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_not_a_slack_export_is_refused(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("anna\n")
    with pytest.raises(DataError, match="not a Slack export"):
        read(tmp_path)


def test_a_truncated_export_is_refused(tmp_path) -> None:
    path = tmp_path / "discord.json"
    path.write_bytes((EXPORTS / path.name).read_bytes()[:5000])
    with pytest.raises(DataError, match=r"not JSON: .* column"):
        read(path)


def test_a_chatgpt_branch_of_10_000_messages_can_be_read(tmp_path) -> None:
    path = tmp_path / "conversations.json"
    mapping = {
        str(i): {
            "parent": str(i - 1) if i else None,
            "message": {
                "author": {"role": ROLES[i % 2]},
                "content": {"content_type": "text", "parts": [str(i)]},
            },
        }
        for i in range(10_000)
    }
    path.write_text(json.dumps([{"title": "x", "mapping": mapping, "current_node": "9999"}]))
    assert read(path)[0] == [[*mapping]]


@pytest.mark.parametrize(
    "text", ["<" + " " * 10**6, "\u200e<" * 10**5, "\u200e" * 10**5, ":" * 10**6, "a.b (" * 10**5]
)
def test_a_message_that_repeats_symbols_100_000_times_is_read(tmp_path, text) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(
        f"1.2.24, 08:00 - A: hi\n1.2.24, 08:01 - B: x {text}\n1.2.24, 08:01 - B: {text}\n{text}"
    )
    assert len(read(path, "B")[0]) == 1


@given(
    days=st.lists(st.dates(date(2000, 1, 1), date(2099, 12, 31)), min_size=1, max_size=9),
    order=st.sampled_from(["%d/%m/%y", "%m/%d/%y", "%Y-%m-%d"]),
)
def test_every_message_is_read_in_three_date_formats(tmp_path_factory, days, order) -> None:
    path = tmp_path_factory.getbasetemp() / "dates.txt"
    lines = [
        f"{day:{order}}, 9:0{i} - {who}: x\n" for day in sorted(days) for i, who in enumerate("AB")
    ]
    path.write_text("".join(lines))
    assert sum(map(len, read(path, "B")[0])) == 2 * len(days)


SMALL = ("--n-embd", "8", "--n-head", "2", "--steps", "2")


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    shutil.copytree(EXPORTS, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize(
    ("data", "me"),
    [("whatsapp_android.txt", "Ben"), ("slack", "ben"), ("conversations.json", None)],
)
def test_train_eval_and_info_read_exports_and_save_no_examples(microgpt, exports, data, me) -> None:
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


def test_reading_a_whatsapp_export_as_lines_suggests_the_chat_option(microgpt, exports) -> None:
    note = "whatsapp_ios.txt may be a WhatsApp export; --chat --me NAME reads its conversations"
    for command in (["info"], ["train", "--steps", "2"]):
        assert note in ok(microgpt(*command, "--data", "whatsapp_ios.txt")).stderr
