import pytest
from commands import ok

TABLE = """\
name    flow  symmetry ×1.2  creativity ×2  total
Nannan   0.5            3.7            1.0   6.94
anna     0.5            2.2           -5.0  -6.86  in known.txt
x1         -              -              -      -  shorter than 3 letters
o'ne       -              -              -      -  not only letters
nannan   0.5            3.7            1.0   6.94  repeated: counts as 0
anna     0.5            2.2           -5.0  -6.86  in known.txt, repeated

Judge       -1.6950  (mean total of 4 of 6 names)
Weaver       0.5000  (Flow)
Mirror       1.8000  (Symmetry)
Spark       -1.2000  (Creativity)
distinct      66.7%
"""
NAMES = ["Nannan", "anna", "x1", "o'ne", "nannan", "anna"]


@pytest.fixture
def against(tmp_path):
    """The command-line option for a file of known names, which score low."""
    (tmp_path / "known.txt").write_text("Anna\nemma\n")
    return ["--against", "known.txt"]


@pytest.mark.parametrize(
    ("names", "stdin"),
    [
        (NAMES, "emma\n"),  # arguments override stdin
        ((), "\ufeff" + "\r\n".join(NAMES) + "\n\n  \n"),
    ],
)
def test_judge_prints_score_terms_and_hydra_head_scores(microgpt, against, names, stdin) -> None:
    done = microgpt("judge", *names, *against, stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr) == (0, TABLE, "")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\x1b[31mb\u202enan", r"a\x1b[31mb\u202enan"),
        ("nan\udcff", r"nan\udcff"),  # a byte that is not UTF-8
    ],
)
def test_judge_escapes_unprintable_characters_in_names(microgpt, against, name, shown) -> None:
    done = ok(microgpt("judge", name, *against))
    assert done.stdout.split("\n")[1].startswith(shown + "  ")
    assert done.stdout.replace("\n", "").isprintable()


def test_judge_refuses_to_run_without_names(microgpt, against) -> None:
    done = microgpt("judge", *against, stdin="\n \n\t\n")
    problem = "no names to judge; pass them as arguments, or pipe them in, one per line"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {problem}\n")
