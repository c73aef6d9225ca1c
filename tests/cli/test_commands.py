import shutil

from commands import ok

CHAT_LINE = '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]'


def test_train_reports_documents_longer_than_the_context(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\nabcdefg\nabcdefgh\n")  # 8 characters and the end
    done = microgpt("train", "--input", "names.txt", "--steps", "1", "--block-size", "8")
    assert "1 of 3 documents, longer than the block size of 8, are split into" in done.stderr
    done = microgpt("train", "--input", "names.txt", "--steps", "1", "--block-size", "9", "--force")
    assert "longer than the block size" not in done.stderr


def test_train_and_info_report_unanswered_messages(microgpt, tmp_path) -> None:
    alone = '[{"role": "user", "content": "oh"}]'
    (tmp_path / "chat.jsonl").write_text(f"{CHAT_LINE}\n{alone}\n")
    told = "note: left out 1 final user message without a reply, and 1 conversation with no reply\n"
    trained = microgpt("train", "--chat", "--input", "chat.jsonl", "--steps", "1")
    assert trained.stdout.startswith("num convos: 1\nvocab size: 8\n")  # of "hi" and "yo" alone
    assert trained.stderr.count(told) == 1
    described = microgpt("info", "--data", "chat.jsonl")
    assert "documents:          1;" in described.stdout
    assert described.stderr.count(told) == 1


def test_train_uses_the_bundled_conversations_by_default(microgpt) -> None:
    done = microgpt("train", "--chat", "--steps", "1")
    assert "using the bundled chat.jsonl" in done.stderr
    assert done.stdout.startswith("num convos: 4000\n")


def test_the_command_without_arguments_prints_its_help(microgpt) -> None:
    assert microgpt("--version").stdout == "microgpt 0.1.0\n"
    assert microgpt().stdout == ok(microgpt("--help")).stdout
    assert "[default: 1000]" in microgpt("train", "--help").stdout


def test_help_does_not_import_the_engine_or_other_heavy_modules(microgpt) -> None:
    done = microgpt("--help", cold=True, PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not any(name.startswith("microgpt_evolution") for name in imported)
    heavy = {"pydantic", "rich.console", "numpy", "microgpt.model", "microgpt.training.train"}
    heavy |= {"altair", "vl_convert"}
    assert not imported & heavy


def test_characters_that_stdout_cannot_encode_are_escaped(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("ωω\nωω\n")
    microgpt("train", "--input", "names.txt", "--steps", "60", "--lr", "0.05")
    done = ok(microgpt("generate", "--num-samples", "1", PYTHONIOENCODING="latin-1"))
    assert "\\u03c9" in done.stdout


def test_a_model_may_be_an_argument_or_an_option(microgpt, text_model, tmp_path) -> None:
    shutil.copytree(text_model, tmp_path / "output")
    (tmp_path / "lines.txt").write_text("anna\n")
    data = ("--data", "lines.txt")
    commands = [("explain", "anna"), ("generate", "an", "-n", "3"), ("score", *data)]
    for name, *rest in [*commands, ("eval", *data), ("info",), ("export", "--output", "copy")]:
        expected = ok(microgpt(name, *rest)).stdout  # with the model in output
        assert ok(microgpt(name, text_model, *rest)).stdout == expected, name
        assert ok(microgpt(name, *rest, "--model", text_model)).stdout == expected, name


def test_a_text_that_names_a_model_is_the_model(microgpt, text_model, chat_model) -> None:
    for command, model in (("generate", text_model), ("chat", chat_model)):
        done = microgpt(command, model.name, stdin="hi\n")
        told = f"using the model in {model.name}; to use '{model.name}' as text, add --model"
        assert done.stderr.startswith(f"note: {told}\n")
        assert done.stdout == microgpt(command, "--model", model, stdin="hi\n").stdout
        text = microgpt(command, model.name, "--model", model)
        assert "using the model" not in text.stderr


def test_data_may_be_standard_input(microgpt) -> None:
    train = ("train", "--data", "-", "--steps=1", "--n-embd=4")
    done = ok(microgpt(*train, stdin="anna\nemma\nmia\n", cold=True))
    assert done.stdout.startswith("num docs: 3\n")
