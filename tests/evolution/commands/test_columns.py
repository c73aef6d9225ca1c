import json

from commands import ok, refused


def test_run_evolve_and_sweep_can_read_one_column_of_a_table(microgpt, tmp_path, undrawn) -> None:
    docs = (a + b + c for a in "aei" for b in "mnrl" for c in ["a", "e", "la", "ne"])
    (tmp_path / "towns.csv").write_text("\n".join(["name,land", *(f"{doc},AT" for doc in docs)]))
    column = ("--data", "towns.csv", "--column", "name")
    done = ok(microgpt("run", *column, "--steps", "50"))
    searches = (
        (["evolve", "--population", "2", "--generations", "1"], ["evolve", "--resume"]),
        (["sweep", "grid", "--steps", "2,3", "--seeds", "1"], ["sweep", "resume"]),
    )
    for command, resume in searches:
        done = ok(microgpt(*command, *column))
        next_one = "microgpt train --preset karpathy --data towns.csv --column name --"
        assert (next_one in done.stdout) == (command[0] == "sweep")
        (run,) = (tmp_path / "experiments").glob(f"{command[0]}_*/")
        assert json.loads((run / "run.json").read_text())["settings"]["column"] == "name"
        ok(microgpt(*resume, run))
    error = refused(microgpt("sweep", "params", "--chat", "--column", "name"))
    assert "--column cannot be used with --chat; omit one of them" in error
    error = refused(microgpt("evolve", "--data", "towns.csv"))
    assert error.startswith("towns.csv is a table; read one column (--col")
