from commands import ok, refused

NOTE = "note: the compiled engine is not installed; using the reference engine"
TRAIN = ("train", "--steps", "2")


def test_commands_fall_back_to_the_reference_engine(no_engine, microgpt) -> None:
    done = ok(microgpt(*TRAIN, "--json"))
    assert done.stderr.count(NOTE) == 1
    for command in (["generate", "-n", "2"], ["info"]):
        assert ok(microgpt(*command)).stdout
    assert ok(microgpt("verify", "--steps", "1")).stdout


def test_a_missing_engine_that_is_asked_for_is_refused(no_engine, microgpt) -> None:
    for command in ((*TRAIN, "--engine", "compiled"), ("verify", "--engine", "compiled")):
        assert "install microgpt-engine" in refused(microgpt(*command))
    assert "float64" in refused(microgpt(*TRAIN, "--dtype", "float32"))
