"""`microgpt compare` and `microgpt why`."""

import json
import os
import re
import signal
from functools import cache
from pathlib import Path
from statistics import fmean, stdev

import commands
import pytest
from commands import ok, refused
from json_files import edit

from microgpt import InferenceGpt, load
from microgpt.evaluation.explanation import explain

NAMES = [
    a + b + c for a in ("em", "an", "li", "mo", "ka") for b in "mnlrst" for c in ("a", "y", "ie")
]
SMALL = ("--data=names.txt", "--steps=60", "--n-embd=8", "--n-head=2", "--lr=0.02")
A, B = ("--model=a",), ("--model=b", "--without=^emm")


def train(folder: Path, *options: str) -> None:
    commands.run("train", *SMALL, "-n0", *options, cwd=folder, check=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a model of all names, and one of those that do not begin with emm."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "names.txt").write_text("\n".join(NAMES))
    train(folder, *A)
    train(folder, *B)
    return folder


@pytest.fixture
def run(trained):
    return lambda *args: commands.run(*args, cwd=trained)


@pytest.fixture(scope="module")
def bits_of(trained):
    """The bits of texts, under a model trained with these options."""

    @cache
    def bits(*options: str, texts=("emma",)) -> float:
        name = f"model{len(os.listdir(trained))}"
        train(trained, f"--model={name}", *options)
        gpt = InferenceGpt(load(trained / name))
        return fmean(explain(gpt, text).bits for text in texts)

    return bits


def test_compare_shows_the_bits_of_each_token(run, trained) -> None:
    head, *lines, total = ok(run("compare", "a", "b", "emma")).stdout.splitlines()
    both = [explain(InferenceGpt(load(trained / name)), "emma") for name in "ab"]
    assert head.split() == ["A", "B", "change"]
    assert [line.split()[0] for line in lines] == [*"emma", "<|bos|>"]
    for line, a, b in zip(lines, *(each.predictions for each in both), strict=True):
        assert line.split()[1:4] == [f"{a.bits:.1f}", f"{b.bits:.1f}", f"{b.bits - a.bits:+.1f}"]
        best = b.alternatives[0]
        assert line.endswith(f"  {best.text} {best.probability:.0%}")
    a, b = (each.bits for each in both)
    assert total == f"{a:.2f} bits under A, {b:.2f} under B: {b - a:+.2f}"


def test_compare_measures_the_spread_over_other_seeds(run, bits_of) -> None:
    done = ok(run("compare", "a", "b", "emma", "--seeds=2", "--json"))
    facts = json.loads(done.stdout)
    others = [bits_of(f"--seed={seed}") for seed in (43, 44)]
    assert facts["a"]["seeds"] == pytest.approx(others, abs=1e-4)
    spread = stdev([bits_of(), *others])
    assert facts["a"]["spread"] == pytest.approx(spread, abs=1e-4)
    assert facts["b"]["times"] == pytest.approx(facts["b"]["change"] / spread, rel=1e-3)
    assert re.search(r"note: 2 training runs of about .* s, . at a time: about ", done.stderr)
    line = ok(run("compare", "a", "b", "emma", "--seeds=2")).stdout.splitlines()[-1]
    times = facts["b"]["times"]
    assert (
        line == f"the spread of 3 seeds is {spread:.2f} bits; the change is {times:.1f} times that"
    )


def test_compare_measures_the_left_out_documents_by_default(run, bits_of) -> None:
    done = ok(run("compare", "a", "b", "--seeds=1", "--json"))
    facts = json.loads(done.stdout)
    texts = tuple(name for name in NAMES if name.startswith("emm"))
    assert facts["a"]["bits"] == pytest.approx(bits_of(texts=texts), abs=1e-4)
    assert facts["b"]["bits"] == pytest.approx(bits_of("--without=^emm", texts=texts), abs=1e-4)
    assert facts["a"]["seeds"] == pytest.approx([bits_of("--seed=43", texts=texts)], abs=1e-4)
    assert "per document, the mean of 3 that B left out: +" in ok(run("compare", "a", "b")).stdout


def test_why_trains_one_model_without_each_group(run, bits_of, trained) -> None:
    before = sorted(os.listdir(trained / "a"))
    done = ok(run("why", "a", "emma", "--groups=3", "--seeds=2", "--json"))
    facts = json.loads(done.stdout)
    assert facts["seeds"] == pytest.approx([bits_of("--seed=43"), bits_of("--seed=44")], abs=1e-4)
    assert facts["bits"] == pytest.approx(bits_of(), abs=1e-4)
    assert len(facts["groups"]) == 3
    for group in facts["groups"]:
        matching = [name for name in NAMES if re.search(group["pattern"], name)]
        assert group["n_docs"] == len(matching)
        alone = bits_of(f"--without={group['pattern']}")
        assert group["bits"] == pytest.approx(alone, abs=1e-4)
        assert group["change"] == pytest.approx(alone - bits_of(), abs=1e-4)
    changes = [abs(group["change"]) for group in facts["groups"]]
    assert changes == sorted(changes, reverse=True)
    assert sorted(os.listdir(trained / "a")) == before


def test_why_prints_a_table(run) -> None:
    done = ok(run("why", "a", "emma", "--groups=2", "--seeds=2", "--workers=1"))
    facts = json.loads(ok(run("why", "a", "emma", "--groups=2", "--seeds=2", "--json")).stdout)
    head, *rows, total = done.stdout.splitlines()
    assert head.split() == ["without", "documents", "bits", "change", "spreads"]
    for row, group in zip(rows, facts["groups"], strict=True):
        figures = (
            f"{group['n_docs']} {group['bits']:.1f} {group['change']:+.2f} {group['times']:+.1f}"
        )
        assert " ".join(row.split()) == f"{group['name']} {figures}"
        assert f"note: {group['name']}: {group['n_docs']} of 90 documents\n" in done.stderr
    assert total.startswith(
        f"{facts['bits']:.2f} bits with all documents; the spread of 3 seeds is "
    )
    assert "4 training runs of about " in done.stderr
    alone = ok(run("why", "a", "emma", "--groups=1", "--seeds=0")).stdout.splitlines()
    assert alone[0].split() == ["without", "documents", "bits", "change"]


def test_compare_and_why_measure_the_reply_of_a_chat_model(microgpt, tmp_path) -> None:
    talks = [[["user", f"{a}{b}"], ["assistant", b]] for a in "abcdefghijklm" for b in "xyzuv"]
    lines = [
        json.dumps({"messages": [{"role": role, "content": text} for role, text in talk]})
        for talk in talks
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(lines))
    options = ("--chat", "--data=chat.jsonl", "--steps=20", "--n-embd=8", "--n-head=2")
    ok(microgpt("train", *options, "--model=a"))
    ok(microgpt("train", *options, "--model=b", "--without=^a"))
    ok(microgpt("compare", "a", "b", "ax", "x", "--seeds=1"))
    assert "mean of 5 that B left out" in ok(microgpt("compare", "a", "b")).stdout
    (group, *_) = json.loads(ok(microgpt("why", "a", "ax", "x", "--json")).stdout)["groups"]
    assert group["pattern"] in (r"^ax\Z", r"^x\Z")
    assert "no assistant replies" in refused(microgpt("compare", "a", "b", "ax"))


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("compare", "a", "a"), "a was trained on all documents; pass a TEXT"),
        (("compare", "a", "c", "emma"), "the vocabularies of a and c differ; compare models"),
        (("compare", "a", "b", "x"), "the vocabulary does not contain 'x'"),
        (("compare", "a", "b", "emma", "anna"), "2 texts are given, but the model is not a chat"),
        (("why", "a", "o"), "no document shares three characters with the text"),
        (
            ("why", "b", "emma"),
            "b was trained without some documents; use a model that was trained on all",
        ),
        (("why", "a", "emma", "--seeds=101"), "invalid value for '--seeds'"),
        (("compare", "a", "b", "--seeds=101"), "invalid value for '--seeds'"),
        (("why", "none", "emma"), "none does not exist, here or in "),
    ],
)
def test_models_that_cannot_be_compared_are_refused(run, trained, command, problem) -> None:
    if not (trained / "c").exists():
        (trained / "other.txt").write_text("abba\nbaab")
        options = ("--data=other.txt", "--steps=1", "--model=c")
        commands.run("train", *options, cwd=trained, check=True)
    assert problem in refused(run(*command))


def test_why_refuses_running_text_and_few_questions(microgpt, tmp_path) -> None:
    (tmp_path / "text.txt").write_text("It rained all day. " * 200)
    (tmp_path / "chat.jsonl").write_text(
        '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]'
    )
    ok(microgpt("train", "--data=text.txt", "--text=stream", "--steps=2", "--model=text"))
    ok(microgpt("train", "--data=chat.jsonl", "--chat", "--model=chat"))
    for model, texts in (("text", ("It rained",)), ("chat", ("hi", "yo"))):
        problem = (
            f"{model} was trained on running text or on few questions; use a model of documents"
        )
        assert refused(microgpt("why", model, *texts)) == problem
    ok(microgpt("compare", "text", "text", "It rained", "--seeds=1"))
    ok(microgpt("train", "--data=text.txt", "--text=lines", "--steps=2", "--model=lines"))
    problem = "only one of text and lines was trained on running text; compare two models of"
    assert problem in refused(microgpt("compare", "text", "lines", "It rained"))


def test_why_needs_an_ended_run_and_its_training_documents(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    train(tmp_path, *A)
    edit(tmp_path / "a/train_state.json", status="running")
    assert "the training run in a is unfinished" in refused(microgpt("why", "a", "emma"))
    edit(tmp_path / "a/train_state.json", status="ended")
    (tmp_path / "names.txt").rename(tmp_path / "moved.txt")
    assert "names.txt: No such file" in refused(microgpt("why", "a", "emma"))
    ok(microgpt("why", "a", "emma", "--data=moved.txt", "--groups=1", "--seeds=1"))
    (tmp_path / "names.txt").write_text("emma\nanna")
    assert "is not the input of the run" in refused(microgpt("why", "a", "emma"))


def test_ctrl_c_ends_all_training_runs_and_leaves_nothing(tmp_path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    train(tmp_path, *A)
    plan = json.loads((tmp_path / "a/train_state.json").read_text())["config"]
    edit(tmp_path / "a/train_state.json", config=plan | {"steps": 10**8})
    files = sorted(path.name for path in tmp_path.rglob("*"))
    command = [commands.COMMAND, "why", "a", "emma"]
    with commands.running(command, cwd=tmp_path) as process:
        assert any("training runs of about" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1] == "interrupted\n"
    assert process.returncode == 130
    assert sorted(path.name for path in tmp_path.rglob("*")) == files
