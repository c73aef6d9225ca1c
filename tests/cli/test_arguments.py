import shutil

from commands import ok


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
