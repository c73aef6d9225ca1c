"""Tests of research tries, their verdicts and their records, with a judge that trains nothing."""

import random
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from commands import ok, refused
from searches import PARTS as SETS
from searches import write_names

from microgpt import ConfigError
from microgpt_evolution.commands import research_command
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.report.study_charts import draw_tries
from microgpt_evolution.report.study_report import write_report
from microgpt_evolution.research.research import CHAMPION, Research
from microgpt_evolution.study_settings import ResearchSettings, facts_of
from microgpt_evolution.trial import Evaluation

SETTINGS = {"lr": 0.01, "n_embd": 16, "n_head": 4}
FIRST = f"SETTINGS = {SETTINGS}\n# 0".replace("'", '"')


@dataclass
class FakeJudge:
    """A judge that adds noise, which depends on the seed, to the loss in a program's last line."""

    asked: list = field(default_factory=list)
    stops_after: int = 10**6

    def measure(self, code, seed, part) -> tuple[Evaluation, float]:
        """Return the evaluation of a program, and its number of operations."""
        if len(self.asked) >= self.stops_after:
            raise KeyboardInterrupt
        self.asked.append((code, seed, part))
        last = code.split()[-1]
        if last == "crash":
            return Evaluation("crashed", reason="line 1: it crashed"), 0.0
        luck = random.Random(f"{seed}{code}").gauss(0, 0.01)
        return Evaluation("ok", float(last) + luck, seconds=1.0), 5.0


def begin(tmp_path: Path) -> Research:
    """Return a research study without trials."""
    facts = {"input": "names.txt", "experiment": "experiment.py", "seed": 1, "operations": 1.0}
    settings = ResearchSettings(**facts_of(SETS), **facts)
    return Research.begin(tmp_path, "r", settings, is_stamped=False)


@pytest.fixture
def research(tmp_path: Path):
    """A research study that has measured its first program."""
    with begin(tmp_path) as begun:
        begun.run(FIRST, FakeJudge())
        yield begun


def test_the_first_program_has_no_gain_over_itself(research) -> None:
    (first,) = research.tries
    assert len(first.gains("search")) == 5
    assert first.gain.value == 0.0
    assert first.verdict == "not better"


def test_a_research_study_without_losses_has_no_report(tmp_path) -> None:
    with begin(tmp_path) as begun, pytest.raises(StudyError, match="no training run completed"):
        write_report(begun.directory)


def test_a_changed_program_is_kept_only_if_it_lowers_the_loss(research) -> None:
    judge = FakeJudge()
    better, null, worse = (research.run(f"# {i}\n# {i}", judge) for i in (-0.05, "-0.050", 0.05))
    assert [each.verdict for each in (better, null, worse)] == ["kept", "not better", "not better"]
    assert research.tries[-1].winner == better.code
    assert (research.directory / CHAMPION).read_text() == better.code
    assert abs(better.gain.value - 0.05) < 0.01


def test_no_seed_is_used_in_two_comparisons(research) -> None:
    judge = FakeJudge()
    for i in range(3):
        research.run(f"# {i}\n# {-0.1 * (i + 1)}", judge)
    research.read_test(judge)
    assert len({seed for _, seed, _ in judge.asked}) == 3 * (5 + 16) + 8


def test_an_interrupted_try_can_be_resumed(microgpt, tmp_path, monkeypatch) -> None:
    write_names(tmp_path)
    judges = [FakeJudge(), FakeJudge(stops_after=3), FakeJudge()]
    monkeypatch.setattr(research_command, "Judge", lambda *_: judges.pop())
    (tmp_path / "program.py").write_text("# 0")
    ok(microgpt("research", "start", "program.py"))
    (tmp_path / "program.py").write_text("# -0.1")
    assert "with: microgpt research try" in microgpt("research", "try").stderr
    assert ok(microgpt("research", "try")).stdout.startswith("try 1, verdict kept")


def test_a_research_study_in_use_is_refused(microgpt, research) -> None:
    for command in ("try", "test"):
        done = microgpt("research", command, "--run", research.directory)
        assert "being searched by process" in refused(done)


def test_a_killed_research_try_resumes_from_its_recorded_trials(research) -> None:
    with pytest.raises(KeyboardInterrupt):
        research.run(research.propose(), FakeJudge(stops_after=9))
    assert research.tries[-1].winner == FIRST
    again = FakeJudge()
    resumed = research.run(research.propose(), again)  # the proposal of the killed try
    assert resumed.number == 1
    assert len(again.asked) == 2 * (len(resumed.records) - 4)


def test_a_program_changed_after_its_try_was_killed_is_tried_anew(research) -> None:
    with pytest.raises(KeyboardInterrupt):
        research.run("# a\n# 0", FakeJudge(stops_after=9))
    assert research.run("# b\n# 1", FakeJudge()).number == 2
    assert research.tries[1].facts["verdict"] == "none yet"
    assert research.run("# a\n# 0", FakeJudge()).number == 3


def test_the_test_set_is_not_read_while_a_try_has_no_verdict(research) -> None:
    with pytest.raises(KeyboardInterrupt):
        research.run("# 1", FakeJudge(stops_after=9))
    with pytest.raises(ConfigError, match="no verdict"):
        research.read_test(None)


def test_a_failed_program_does_not_replace_the_champion(research) -> None:
    failed = research.run("crash", FakeJudge()).describe()
    assert failed == "try 1, verdict failed: line 1: it crashed, pairs 0 + 0, change +1 -2 lines"
    assert research.tries[-1].winner == FIRST


def test_a_program_cannot_be_tried_twice(research) -> None:
    research.run("# 1", FakeJudge())
    with pytest.raises(ConfigError, match="try 1"):
        research.run("# 1", FakeJudge())
    with pytest.raises(ConfigError, match="try 0"):
        research.run(FIRST, FakeJudge())


def test_the_test_set_is_read_only_once_and_then_the_research_ends(research) -> None:
    research.run("# -0.1", tried := FakeJudge())
    assert {part for _, _, part in tried.asked} == {"validation"}
    gain = research.read_test(judge := FakeJudge())
    assert {part for _, _, part in judge.asked} == {"test"}
    assert abs(gain.value - 0.1) < 0.02
    assert research.read_test(again := FakeJudge()) == gain
    assert not again.asked
    with pytest.raises(StudyError, match="ended"):
        research.run("# -0.2", FakeJudge())


def test_proposals_are_valid_and_scale_one_number_by_at_most_2(research) -> None:
    for _ in range(30):
        research.run(code := research.propose(), FakeJudge())
        now = eval(code.removeprefix("SETTINGS = "))
        (changed,) = (name for name, value in SETTINGS.items() if now[name] != value)
        assert 0.5 <= now[changed] / SETTINGS[changed] <= 2
        assert now["n_embd"] % now["n_head"] == 0


def test_a_change_of_one_line_is_recorded_as_before_and_after(research) -> None:
    changed = research.run(research.propose(), FakeJudge())
    before, after = (each.partition("\n")[0] for each in (FIRST, changed.code))
    assert changed.facts["change"] == f"{before} → {after}"


def test_nothing_is_proposed_for_a_program_without_numbers(tmp_path) -> None:
    with begin(tmp_path) as research, pytest.raises(ConfigError, match="left to change"):
        research.run("# 0", FakeJudge()) and research.propose()


def test_the_research_chart_shows_which_tries_were_kept_or_not_confirmed(research) -> None:
    """The first try lowers the loss with the seeds of the search, but not with fresh ones."""

    class Lucky(FakeJudge):
        def measure(self, code, seed, part) -> tuple[Evaluation, float]:
            """Return a lower loss for the changed program in the first five pairs of runs."""
            found, operations = super().measure(code, seed, part)
            is_lucky = code != FIRST and len(self.asked) <= 10
            return replace(found, fitness=found.fitness - is_lucky), operations

    research.run("# a\n# 0", Lucky())
    for loss in (0.1, -0.1):
        research.run(f"# {loss}", FakeJudge())
    research.run("crash", FakeJudge())
    (rows,) = draw_tries(research).to_dict()["datasets"].values()
    assert [row.get("origin") for row in rows[1:4]] == ["not confirmed", "not better", "kept"]
    page = write_report(research.directory).read_text()
    assert "1 of 4 tries kept" in page
    assert page.count("<title>try ") == 3
