import pytest

from microgpt import DataError, bundled, load_text
from microgpt.data.text_file import TextFile
from microgpt_characters.character_file import Character, read_character

HEAD = 'name = "Owl"\nunknown = ["Who?"]\n'
SLOT = HEAD + "[slots]\na = "
TOPIC = '[topics.night]\nask = ["do you sleep"]\nreply = ["No."]\n'


def read(tmp_path, text: str, encoding: str = "utf-8") -> Character:
    (tmp_path / "owl.toml").write_text(text, encoding)
    return read_character(TextFile(tmp_path / "owl.toml"))


def topic(ask: str, reply: str = "Yes.", more: str = "") -> str:
    return f'[topics.t]\nask = ["{ask}"]\nreply = ["{reply}"]\n{more}\n'


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("name = Owl", 1, "not valid TOML"),
        (HEAD + TOPIC + TOPIC, 6, "not valid TOML: Cannot declare .*'night'.* twice"),
        (HEAD, 1, "topics"),
        (HEAD.replace("name", "nmae") + TOPIC, 1, "nmae .* use"),
        (HEAD + TOPIC.replace("reply", "replies"), 5, "use .*, reply"),
        (HEAD + TOPIC.replace('["do you sleep"]', "[]"), 3, "no askings; add ask"),
        (HEAD + TOPIC.replace("do you sleep", " "), 3, "a text is empty"),
        (HEAD + TOPIC + "weight = 0", 6, "weight"),
        (HEAD + topic("[a|b"), 4, "\\[ or \\] has no partner"),
        (HEAD + topic("[" * 999 + "]" * 999), 4, "nested too deep"),
        (HEAD + topic("a {} b"), 4, "'{' has no partner.* write {{ and }}"),
        (HEAD + topic("<waht> is"), 4, "no macro is called <waht>; add it to"),
        (HEAD + topic("say {word}"), 4, "{word} cannot be filled; use a name of \\[slots\\]"),
        (SLOT + '"x"\n' + topic("{a}"), 4, "slots.a: must be a list, .* got 'x'"),
        (SLOT + '"9..1"\n' + topic("{a}"), 4, "slots.a: must be .* got '9..1'"),
        (SLOT + '"0..b"\nb = "0..a"\n' + topic("{a}"), 4, "'a' must end at a"),
        (SLOT + '["{b}"]\n' + topic("{a}"), 4, "slots.a: must be plain words"),
        (SLOT + '["x"]\n' + topic("{a} {a}", "{sum a a}"), 7, "sum, .* two names"),
        (SLOT + '"0..9"\n' + topic("{a}", "{sum a}"), 7, "{sum a} cannot .* with two"),
        (SLOT + '["x"]\n' + topic("{a}", "{value a}"), 7, "or value with one of a ta"),
        (SLOT + '["x"]\n' + topic("{a}", "{cube a}"), 7, "{cube a} cannot be filled"),
        (SLOT + '["x"]\n' + topic("[{a}|b]", "{a}"), 6, "{a} is in the reply, but"),
        (HEAD + '[slots]\nn = "names"\n' + topic("{n}", "Hi", 'remember = "n"')
         + topic("who am i", "You are {n}.").replace("topics.t", "topics.u"), 9,
         "{n} may not have been told; add untold"),
        (HEAD + '[macros]\na = "x <b>"\nb = "<a>"\n' + topic("<a>"), 7, "exceeds 20,000 .*itself"),
        (HEAD + TOPIC + topic("[will|do] you sleep"), 7, "'do you sleep' is .* in line 3"),
        (HEAD + TOPIC + '[topics]\n"x" = { like = "y", reply = ["Z."] }', 7, "no topic"),
    ],
)  # fmt: skip
def test_an_error_in_a_character_file_names_its_line(tmp_path, text, line, problem) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        read(tmp_path, text)
    assert f"line {line}" in str(caught.value)


@pytest.mark.parametrize("name", ["assistant", "skerry"])
def test_each_bundled_character_file_can_be_read(name) -> None:
    assert read_character(TextFile(bundled(f"characters/{name}.toml"))).topics


def test_a_toml_file_that_is_not_a_character_is_read_as_text(tmp_path) -> None:
    (tmp_path / "app.toml").write_text("[server]\nport = 80\n")
    assert load_text(tmp_path / "app.toml") == ["[server]", "port = 80"]


def test_the_error_for_a_character_file_that_is_not_utf_8_names_the_line(tmp_path) -> None:
    with pytest.raises(DataError, match=r"not UTF-8 text .line 5 .*save it as UTF-8"):
        read(tmp_path, HEAD + TOPIC.replace("No.", "Né."), "latin-1")


def test_macros_of_exponential_length_are_refused(tmp_path) -> None:
    macros = "".join(f'm{i} = "<m{i + 1}><m{i + 1}><m{i + 1}><m{i + 1}>"\n' for i in range(9))
    with pytest.raises(DataError, match="exceeds 20,000 characters"):
        read(tmp_path, HEAD + f'[macros]\n{macros}m9 = "x"\n' + topic("<m0>"))


def test_a_character_file_can_have_at_most_5000_topics(tmp_path) -> None:
    topics = "".join(topic(f"go {i}").replace("topics.t", f"topics.n{i}") for i in range(5_000))
    assert len(read(tmp_path, HEAD + topics).topics) == 5_000
    with pytest.raises(DataError, match="at most 5000"):
        read(tmp_path, HEAD + topics + TOPIC)


def test_a_topic_with_fewer_than_8_wordings_is_reported(tmp_path) -> None:
    asked = ", ".join(f'"asking {i}"' for i in range(8))
    many = f'[topics.many]\nask = [{asked}]\nreply = ["Yes."]\n'
    found = read(tmp_path, HEAD + many + TOPIC).advice()
    assert found == ["'night' (line 6) has 1 wording: add some, to have 8"]
