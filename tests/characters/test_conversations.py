"""Tests of conversations drawn from a character file, and of the command that shows them."""

import json
import re
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from commands import ok, refused

from microgpt import ConversationsError, load_conversations, load_text
from microgpt.data.text_file import TextFile
from microgpt_characters import character_file
from microgpt_characters.character_file import Character, read_character
from microgpt_characters.conversations import Drawing
from microgpt_characters.matching import FUNCTION, Matcher
from microgpt_characters.slots import is_held_out

OWL = Path(character_file.__file__).with_name("starter.toml")
HEAD = 'name = "Owl"\nunknown = ["Who?", "Hoo."]\nconversations = 500\n'
SUMS = """
[slots]
a = "0..99"
b = "0..a"
word = "names"
sound = { cat = "meow", dog = "woof" }
[topics.sums]
ask = ["{a} + {b}"]
reply = ["{sum a b} {difference a b} {product a b} {larger a b} {smaller b a}"]
[topics.words]
ask = ["about {word}"]
reply = ["{spell word} {reverse word} {count word} {first word}{last word} {title word}"]
[topics.sounds]
ask = ["[the|] {sound} says"]
reply = ["{{{sound}}} <b>{value sound}</b>"]
"""
ABOUT = re.compile(r"about \w+\W*")


def character(tmp_path, text: str) -> Character:
    (tmp_path / "owl.toml").write_text(text)
    return read_character(TextFile(tmp_path / "owl.toml"))


@pytest.fixture
def owl(tmp_path) -> Character:
    return character(tmp_path, "conversations = 500\n" + OWL.read_text())


def exchanges(tmp_path, text: str) -> list[tuple[str, str]]:
    (tmp_path / "owl.toml").write_text(text)
    talks = [[m.content for m in talk] for talk in load_conversations(tmp_path / "owl.toml")]
    return [pair for talk in talks for pair in zip(talk[::2], talk[1::2], strict=True)]


def test_computed_slots_contain_sums_word_facts_and_table_values(tmp_path) -> None:
    made = exchanges(tmp_path, HEAD + SUMS)
    sums = [(re.fullmatch(r"(\d+) \+ (\d+)\W*", asked), said) for asked, said in made]
    sums = [(int(found[1]), int(found[2]), said) for found, said in sums if found]
    assert any(b > 9 for _, b, _ in sums)
    for a, b, said in sums:
        assert said == f"{a + b} {a - b} {a * b} {a} {b}"
    words = {asked.split()[1].strip("?!."): said for asked, said in made if ABOUT.fullmatch(asked)}
    for word, said in words.items():
        letters = "-".join(word)
        assert said == f"{letters} {word[::-1]} {len(word)} {word[0]}{word[-1]} {word.title()}"
    assert {said for asked, said in made if "cat says" in asked} == {"{cat} <b>meow</b>"}


def test_held_out_slot_values_do_not_occur_in_training_conversations(tmp_path) -> None:
    lessons = Drawing(character(tmp_path, HEAD + "threshold = 0\n" + SUMS)).lessons()
    asked = [m.content for talk in lessons for m in talk[::2]]
    pairs = {tuple(sorted(map(int, re.findall(r"\d+", text)))) for text in asked if "+" in text}
    assert not any(is_held_out(f"{a} {b}") for a, b in pairs if b > 9)
    assert not any(is_held_out(text.split()[1].strip("?!.")) for text in filter(ABOUT.match, asked))


def test_words_of_a_list_are_held_out_only_if_threshold_is_0(tmp_path) -> None:
    words = [f"fish{letter}" for letter in "abcdefghijklmnopqrst"]
    slots = f"[slots]\nfish = {words}\n"
    topics = '[topics.t]\nask = ["{fish}"]\nreply = ["{fish}"]\n'
    held_out = {*filter(is_held_out, words)}
    assert held_out
    for threshold, missing in ((0.5, set()), (0, held_out)):
        made = exchanges(tmp_path, f"{HEAD}threshold = {threshold}\n{slots}{topics}")
        assert {*words} - {said for _, said in made} == missing


def test_numbers_are_drawn_even_if_all_are_held_out(tmp_path) -> None:
    topic = '[topics.sums]\nask = ["{a} + {b}"]\nreply = ["{sum a b}"]'
    made = exchanges(tmp_path, f'{HEAD}[slots]\na = "10..10"\nb = "15..15"\n{topic}')
    assert is_held_out("10 15")
    assert {said for _, said in made} == {"25"}


def test_the_character_repeats_the_users_name_only_if_the_user_gave_it(owl) -> None:
    drawing = Drawing(owl)
    replies: dict[bool, set[str]] = {True: set(), False: set()}
    for _ in range(400):
        name = None
        talk = drawing.conversation()
        for message, reply in zip(talk[::2], talk[1::2], strict=True):
            if reply.content.startswith("Good evening"):
                name = reply.content.split()[-1]
            if "what is my name" in message.content:
                replies[name is not None].add(reply.content.replace(name or "-", "NAME"))
    assert replies == {True: {"You are NAME"}, False: {"You have not told me your name."}}


def test_most_users_who_give_their_name_ask_for_it_later(owl) -> None:
    drawing = Drawing(owl)
    talks = [[m.content for m in drawing.conversation()] for _ in range(400)]
    told = [talk for talk in talks if any(text.startswith("Good evening") for text in talk)]
    asked = [talk for talk in told if any(text.startswith("You are") for text in talk)]
    assert len(told) > 40
    assert len(asked) > 0.7 * len(told)


def test_a_follow_up_question_comes_directly_after_its_topic(owl) -> None:
    drawing = Drawing(owl)
    replies = [m.content for _ in range(300) for m in drawing.conversation()[1::2]]
    before = {first for first, second in pairwise(replies) if second == "Because mice hear well."}
    night = {"I fly without a sound, and listen.", "At night, I hunt.", "In the dark, I hunt."}
    assert before
    assert before <= night


def test_the_same_character_file_always_gives_the_same_conversations(owl) -> None:
    lessons = Drawing(owl).lessons()
    assert lessons == Drawing(owl).lessons()
    assert len(lessons) == 900


def test_each_wording_is_replaced_by_the_first_one_of_its_topic_with_the_same_slots(owl) -> None:
    drawing = Drawing(owl)
    drawn = {message.content for talk in drawing.lessons() for message in talk[::2]}
    assert len(drawn & {"do you sleep", "do you sleep at night"}) == 1
    assert not any("tired" in text for text in drawn)
    askings = drawing.askings()[0]
    assert {asking.reads for asking in askings if asking.topic == 0} <= drawn
    reads = {asking.text: asking.reads for asking in askings}
    assert reads["is my name"] == "i am {0}"
    assert reads["add 0 and 0"] == "{0} + {1}"


def test_other_words_of_a_message_are_not_read_as_names(owl) -> None:
    matcher = Matcher(*Drawing(owl).askings(), FUNCTION[False])
    telling = "im ada", "im called ada", "I'm Ada by the way"
    asking = "thats my name", "I told you my name", "May I ask if you know my name?"
    read = [max(matcher.rank(text), key=lambda match: match.similarity).read for text in
            (*telling, *asking)]  # fmt: skip
    assert read == [*["i am ada"] * 3, *["what is my name"] * 3]


def test_only_listed_words_fill_a_slot_but_a_name_is_any_word(tmp_path) -> None:
    matcher = Matcher(*Drawing(character(tmp_path, HEAD + SUMS)).askings(), FUNCTION[False])
    texts = "99 + 5", "100 + 5", "5 + 99", "dog + 5", "dogs says", "cow says", "about zyx"
    ranked = [match for text in texts for match in matcher.rank(text) if match.asking.allowed]
    assert [*dict.fromkeys(m.read for m in ranked)] == ["99 + 5", "the dog says", "about zyx"]


def test_a_foreign_question_of_the_file_is_refused_even_if_it_resembles_a_wording(owl) -> None:
    askings, replies = Drawing(owl).askings()
    matches = Matcher(askings, replies, FUNCTION[False]).rank("do you like chess")
    best = max(matches, key=lambda match: match.similarity)
    assert (best.asking.text, replies[best.asking.topic]) == ("do you like chess", "")


def test_messages_of_a_character_with_threshold_0_vary_in_punctuation(tmp_path) -> None:
    made = exchanges(tmp_path, HEAD + "threshold = 0\n" + SUMS)
    assert any(re.fullmatch(r"\d+ \+ \d+[?!]", asked) for asked, _ in made)


def test_held_out_wordings_of_a_question_are_used_only_for_testing(tmp_path) -> None:
    words = ("red", "green", "blue", "pale", "dark")
    asked = [f"{a} and {b}" for a in words for b in words]
    topic = f'[topics.t]\nask = {json.dumps(asked)}\nreply = ["[A|B]."]\n'
    drawing = Drawing(character(tmp_path, HEAD + topic))
    seen = {asking.text for asking in drawing.askings()[0]}
    seen |= {message.content for talk in drawing.lessons() for message in talk[::2]}
    tests = [each for each in drawing.questions() if each.task == "t, held out"]
    assert {*asked} - seen == {each.messages[0] for each in tests} != set()
    assert all(each.replies == ["A.", "B."] for each in tests)
    assert asked[0] in seen


def test_drawing_from_a_huge_number_of_wordings_takes_little_memory(tmp_path) -> None:
    groups = "".join(f"[a{i}|b{i}|c{i}|d{i}]" for i in range(30))  # generates 4^30 wordings
    text = HEAD + f'[topics.t]\nask = ["{groups}"]\nreply = ["Yes."]\n'
    tracemalloc.start()
    Drawing(character(tmp_path, text)).conversation()
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_message_with_two_questions_gets_both_replies_even_if_one_is_unknown(tmp_path) -> None:
    two = HEAD + 'threshold = 0\ntwo = ["{first} and then {second}"]\n' + SUMS
    both = [each for each in exchanges(tmp_path, two) if " and then " in each[0]]
    assert any(re.fullmatch(r"\d+ \+ \d+ and then \d+ \+ \d+\W*", asked) for asked, _ in both)
    assert any(re.fullmatch(r"(Who\?|Hoo\.) \d+ .*", said) for _, said in both)
    assert any(re.fullmatch(r"\d+ .* (Who\?|Hoo\.)", said) for _, said in both)


def test_load_text_refuses_a_character_file() -> None:
    with pytest.raises(ConversationsError, match="read them with --chat"):
        load_text(OWL)


def test_character_new_writes_once_and_try_prints_conversations(microgpt) -> None:
    ok(microgpt("character", "new", "owl.toml"))
    assert "owl.toml exists; use another, or" in refused(microgpt("character", "new", "owl.toml"))
    tried = ok(microgpt("character", "try", "owl.toml")).stdout
    assert re.search("Owl: You are [A-Z]", tried)
    assert re.search("Owl: .*\nYou: .*why.*\nOwl: Because mice hear well.", tried)
    assert "Owl: At night, I hunt. | I fly" in tried
    assert tried.endswith("\n6 topics: no mistakes\n")
    assert "is likely to reach" not in ok(microgpt("info", "owl.toml")).stdout
