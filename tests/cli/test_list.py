import json
import shutil
from pathlib import Path

from commands import ok
from json_files import edit


def test_list_shows_each_model_on_one_line(microgpt, text_model, chat_model, tmp_path) -> None:
    meta = json.loads((text_model / "meta.json").read_text())
    for name in ("damaged", ".hidden", "line\nend"):
        shutil.copytree(text_model, tmp_path / "below" / name)
    edit(tmp_path / "below/line\nend/meta.json", training={"val_loss": 2.5})
    (tmp_path / "below/damaged/meta.json").write_text("{")
    (tmp_path / "below/other").mkdir()
    (tmp_path / "below/other/meta.json").write_text("[]")  # of another program
    (tmp_path / "below/loop").symlink_to(tmp_path)
    done = ok(microgpt("list"))
    head, *rows = (line.split("  ") for line in done.stdout.splitlines())
    assert [cell.strip() for cell in head if cell] == ["model", "kind", "weights", "loss"]
    shown = {row[0].strip(): " ".join(filter(None, (cell.strip() for cell in row))) for row in rows}
    path, loss = f"./{text_model.name}", f"{meta['training']['train_loss']:.4f} training"
    assert shown[path].startswith(f"{path} text ")
    assert shown[path].endswith(loss)
    assert " chat " in shown[f"./{chat_model.name}"]
    assert shown["./below/line\\nend"].endswith("2.5000 held-out")
    assert len(shown) == 3
    assert done.stderr.startswith("note: below/damaged/meta.json: ")
    assert len(ok(microgpt("list", "below")).stdout.splitlines()) == 2


def test_list_shows_an_unfinished_run(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\nemma\n")
    ok(microgpt("train", "--data", "names.txt", "--steps", "3", "--model", "half"))
    assert "./half  text  " in ok(microgpt("list")).stdout
    (tmp_path / "half/weights.json").unlink()
    (found,) = json.loads(microgpt("list", "--json").stdout)["models"]
    assert (found["path"], found["kind"]) == ("./half", "text, unfinished")


def test_list_says_that_it_found_nothing(microgpt, tmp_path: Path) -> None:
    done = ok(microgpt("list"))
    assert done.stdout == ""
    assert "there is no model in ." in done.stderr
