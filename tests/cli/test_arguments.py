import pytest
from commands import ok, refused


def test_a_model_may_be_an_argument_instead_of_an_option(microgpt, text_model, tmp_path) -> None:
    (tmp_path / "more.txt").write_text("anna\nmia\n")
    export = ["export", "--output", "copy"]
    for command in (["info"], ["eval", "--data", "more.txt"], export):
        done = microgpt(*command, text_model)
        option = microgpt(*command, "--model", text_model)
        assert (done.returncode, done.stdout) == (option.returncode, option.stdout)
        assert done.stderr == option.stderr
        text_model.rename(tmp_path / "output")  # the default
        assert microgpt(*command).stdout == done.stdout
        (tmp_path / "output").rename(text_model)


@pytest.mark.parametrize(
    "command", ["info mine", "eval mine --data x", "export mine --output x", "serve mine"]
)
def test_a_model_cannot_be_given_as_both_argument_and_option(microgpt, command) -> None:
    problem = refused(microgpt(*command.split(), "--model", "mine"))
    assert problem == "--model cannot be combined with the positional argument; omit --model"


def test_a_text_that_names_a_model_is_the_model(microgpt, text_model, chat_model) -> None:
    for command, model in (("generate", text_model), ("chat", chat_model)):
        done = microgpt(command, model.name, stdin="hi\n")
        told = f"using the model in {model.name}; to use '{model.name}' as text, add --model"
        assert done.stderr.startswith(f"note: {told}\n")
        assert done.stdout == microgpt(command, "--model", model, stdin="hi\n").stdout
        text = microgpt(command, model.name, "--model", model)
        assert "using the model" not in text.stderr


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["info", "--model="], "'--model-dir': must not be empty"),
        (["train", "--from", "", "--steps=1"], "'--from': must not be empty"),
        (["train", "--teacher", "", "--steps=1"], "'--teacher': must not be empty"),
        (["explain", "", "an"], "'' is not a model"),
        (["train", "--data=https://a.org/b.txt"], "https://a.org/b.txt: download it first"),
        (["train", "--minutes", "1m"], "--minutes must be a number greater than 0, got '1m'"),
        (["train", "names.txt"], "(names.txt); to read a file, use --data names.txt; see "),
        (["generate", "-n"], "see 'microgpt generate --help'"),
        (["fly"], "no such command 'fly'; see 'microgpt --help'"),
        (["generat"], "Did you mean 'generate'?"),
    ],
)
def test_a_mistyped_argument_is_explained(microgpt, tmp_path, command, problem) -> None:
    (tmp_path / "names.txt").write_text("anna\n")
    assert problem in refused(microgpt(*command))


def test_data_may_be_standard_input(microgpt) -> None:
    train = ("train", "--data", "-", "--steps=1", "--n-embd=4")
    done = ok(microgpt(*train, stdin="anna\nemma\nmia\n", cold=True))
    assert done.stdout.startswith("num docs: 3\n")
