import json

import pytest
from commands import ok, refused
from searches import DOCS


@pytest.mark.compiled
def test_run_and_evolve_can_read_one_column_of_a_table(microgpt, tmp_path, undrawn) -> None:
    (tmp_path / "towns.csv").write_text("\n".join(["name,land", *(f"{doc},AT" for doc in DOCS)]))
    column = ("--data", "towns.csv", "--column", "name")
    ok(microgpt("run", *column, "--steps", "50"))
    ok(microgpt("evolve", "--population", "2", "--generations", "1", *column))
    (run,) = (tmp_path / "experiments").glob("evolve_*/")
    assert json.loads((run / "settings.json").read_text())["column"] == "name"
    ok(microgpt("evolve", "--resume", run))


def test_data_errors_suggest_only_options_that_the_command_has(microgpt, tmp_path) -> None:
    (tmp_path / "towns.csv").write_text("name,land\nWien,AT\nGraz,AT\n")
    error = refused(microgpt("sweep", "params", "--data", "towns.csv"))
    assert error == "towns.csv is a table; write one document per line into a text file"
    error = refused(microgpt("evolve", "--data", "towns.csv"))
    assert error.startswith("towns.csv is a table; read one column (--col")
    (tmp_path / "chat.jsonl").write_text('{"messages": [{"role": "user", "content": "hi"}]}\n')
    assert "--chat" not in refused(microgpt("evolve", "--data", "chat.jsonl"))
