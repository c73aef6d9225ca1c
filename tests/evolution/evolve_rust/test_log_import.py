"""Logs of loss evolutions: evolve-rust's formats to the letter, our own, and anything else."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.config import TrainConfig
from microgpt.training.train import train
from microgpt_evolution.errors import RunError
from microgpt_evolution.evolve_rust import loss_log
from microgpt_evolution.evolve_rust.log import retest_table
from microgpt_evolution.evolve_rust.log_import import ParsedLog, parse_log
from microgpt_evolution.genome import WHOLE_LIMITS, Genome
from microgpt_evolution.organism import Evaluation, Organism, rank
from microgpt_evolution.search.retest import Retest
from microgpt_evolution.search.settings import SearchSettings

PATH = Path("evolve.log")
V1 = """=== MicroGPT Loss Evolution Engine ===
Experiment: experiments/evolve_20260227_022211.log
Target: loss < 1.2
Population: 8, Generations: 10
Selection: tournament(k=3), 2 random immigrants/gen

--- Generation 1/10 ---
> #1: Emb:16  Head:1 Lay:3 Ctx:12 FF:2 LR:0.0298 Steps:1000 | Loss: 1.6470
  #2: Emb:24  Head:4 Lay:2 Ctx:12 FF:4 LR:0.0088 Steps:1000 | Loss: 1.6784
  Best: 1.6470 | Worst: 1.6784 | Spread: 0.0314 | Diversity: 2/2 (100%) | 208s

--- Generation 2/10 ---
> #1: Emb:32  Head:2 Lay:1 Ctx:8  FF:1 LR:0.0010 Steps:300  | Loss: 1.4676
  ** Target 1.5 reached! Continuing to evolve... **
"""
BEST = Genome(n_emb=32, n_head=2, n_layer=1, n_ctx=8, n_ff_exp=1, lr=0.001, steps=300)


def parse(text: str) -> ParsedLog:
    return parse_log(text.splitlines(), PATH)


def test_a_log_of_the_first_version_of_evolve_rust_can_be_read() -> None:
    log = parse(V1)
    assert log.candidates[0] == Organism(
        seed=0,
        generation=1,
        slot=1,
        genome=Genome(n_emb=16, n_head=1, n_layer=3, n_ctx=12, n_ff_exp=2, lr=0.0298, steps=1000),
        origin="unknown",
        evaluation=Evaluation("ok", 1.6470, last_loss=1.6470),
    )
    assert [(c.generation, c.slot) for c in log.candidates] == [(1, 1), (1, 2), (2, 1)]
    winner = log.winner
    assert (winner.genome, winner.loss, winner.generation) == (BEST, 1.4676, 2)
    assert (winner.fitness, winner.seed, winner.val_loss) == ("last-doc", None, None)
    assert log.left_out == ()


@pytest.mark.parametrize(
    ("end", "origin"),
    [
        ("| Loss: 1.6470 [hyper]", "hyper"),
        ("| Loss: 1.6470 [re-eval]", "re-eval"),
        ("E:4423680 | Loss: 1.6470 Fit: 1.9530 [tuned]", "tuned"),
        ("| Loss: 1.6470", "unknown"),
    ],
)
def test_log_rows_of_every_evolve_rust_version_can_be_read(end, origin) -> None:
    log = parse(V1.replace("| Loss: 1.6470", end))
    assert log.candidates[0].origin == origin
    assert log.candidates[0].evaluation.fitness == 1.6470


@pytest.mark.parametrize(
    ("loss", "status"),
    [
        (f"{1.7976931348623157e308:.4f}", "crashed"),  # what evolve-rust gives a panic
        ("9" * 400 + ".0000", "crashed"),
        ("NaN", "diverged"),
        ("inf", "diverged"),
        ("diverged", "diverged"),
        ("crashed", "crashed"),
        ("refused", "refused"),
    ],
)
def test_a_candidate_without_a_loss_is_never_the_winner(loss, status) -> None:
    log = parse(V1.replace("1.4676", loss))
    assert log.candidates[-1].evaluation == Evaluation(status)
    assert log.winner.loss == 1.6470
    with pytest.raises(RunError, match=r"evolve\.log: none of the 3 candidates has a loss"):
        parse(V1.replace("1.6470", loss).replace("1.6784", loss).replace("1.4676", loss))


def test_a_genome_out_of_range_is_skipped_with_a_note() -> None:
    log = parse(V1.replace("Emb:24 ", "Emb:256"))
    assert len(log.candidates) == 2
    assert log.left_out == ("n_emb must be between 1 and 128, got 256",)
    with pytest.raises(RunError, match=r"every genome is out of range: lr must be between"):
        parse("--- Generation 1/1 ---\n" + V1.splitlines()[7].replace("0.0298", "0.0000"))


@pytest.mark.parametrize("text", ["", "\n".join(V1.splitlines()[7:9]), V1.replace("Emb", "emb")])
def test_a_log_without_candidates_is_refused(text) -> None:
    with pytest.raises(RunError, match=r"^evolve\.log has no line like"):
        parse(text)


@given(st.integers(0, len(V1)))
def test_the_complete_rows_of_a_truncated_log_are_imported(end) -> None:
    rows = parse(V1).candidates
    ends = [loss.end() for loss in re.finditer(r"\| Loss: [0-9]\.[0-9]{4}", V1)]
    n_whole = sum(row_end <= end for row_end in ends)
    try:
        torn = parse(V1[:end]).candidates
    except RunError:
        torn = ()
    assert torn == rows[:n_whole]


fragments = st.sampled_from(
    ["--- Generation 1/2 ---\n", "> #1: ", "Emb:", "16  Head:4 Lay:1 Ctx:16 FF:4 LR:0.0050 ",
     "Steps:200 ", " | Loss: 1.6470", " [elite]\n", "Fitness: held-out, Seed: 5\n", "٣",
     "9" * 5000, "\n", "  Last document: 1.2000, held out: 2.0000\n", V1.splitlines()[7] + "\n"]
)  # fmt: skip


@given(st.text() | st.lists(fragments | st.text(max_size=3)).map("".join))
def test_any_text_is_imported_or_gives_a_one_line_error(text) -> None:
    try:
        log = parse(text)
    except RunError as error:
        assert "\n" not in str(error)  # noqa: PT017  (either is right)
    else:
        assert log.winner.genome in [candidate.genome for candidate in log.candidates]


@st.composite
def genomes(draw: st.DrawFn) -> Genome:
    genes = {gene: draw(st.integers(*limits)) for gene, limits in WHOLE_LIMITS.items()}
    heads = [n for n in range(1, 17) if genes["n_emb"] % n == 0]
    lr = draw(st.integers(1, 10_000)) / 10_000  # what four decimals can hold
    return Genome(**{**genes, "n_head": draw(st.sampled_from(heads)), "lr": lr})


evaluations = st.builds(
    lambda n: Evaluation("ok", n / 10_000, last_loss=n / 10_000), st.integers(0, 10**6)
) | st.sampled_from([Evaluation("diverged"), Evaluation("crashed"), Evaluation("refused")])
origins = st.sampled_from(["random", "elite", "re-eval", "grown", "cataclysm"])
generations = st.lists(
    st.lists(st.tuples(genomes(), origins, evaluations), min_size=1, max_size=4),
    min_size=1,
    max_size=3,
)


def header(fitness: str, seed: int) -> list[str]:
    settings = SearchSettings(
        objective="loss", input="x", data_sha256="", population=8, generations=9, seed=seed,
        fitness=fitness,
    )  # fmt: skip
    return loss_log.header(settings, 1.2, Path("x.log"))


@given(generations, st.integers(0, 2**63 - 1))
def test_a_log_written_by_microgpt_is_imported_unchanged(told, seed) -> None:
    lines = header("last-doc", seed)
    expected, finished = [], []
    for number, members in enumerate(told, start=1):
        ranked = rank(
            [
                Organism(genome, origin, 0, number, slot, evaluation=evaluation)
                for slot, (genome, origin, evaluation) in enumerate(members, start=1)
            ]
        )
        lines += [f"--- Generation {number}/9 ---", *loss_log.ranking(ranked)]
        lines += loss_log.summary(ranked, stagnation=0, n_blacklisted=0, seconds=1)
        expected += [
            Organism(o.genome, o.origin, 0, number, place, evaluation=o.evaluation)
            for place, o in enumerate(ranked, start=1)
        ]
        finished += [o for o in ranked if o.has_finished]
    if not finished:
        with pytest.raises(RunError, match="has a loss"):
            parse_log(lines, PATH)
        return
    log = parse_log(lines, PATH)
    assert list(log.candidates) == expected
    best = min(finished, key=lambda organism: organism.fitness)
    assert (log.winner.genome, log.winner.loss) == (best.genome, best.fitness)
    assert (log.winner.generation, log.winner.seed) == (best.generation, seed)


def test_a_held_out_log_is_imported_only_if_it_is_complete(make_organism) -> None:
    result = train(["anna"], config=TrainConfig(steps=1))
    ranked = [make_organism(2.25, n_emb=24)]
    lines = header("held-out", 5)
    lines += ["--- Generation 1/1 ---", *loss_log.ranking(ranked)]
    with pytest.raises(RunError, match=r"with: microgpt evolve --resume evolve\.log$"):
        parse_log(lines, PATH)
    retest = Retest(result, (2.6,), (2.3,), (2.3,))
    lines += retest_table(ranked[0].evaluation, retest)
    log = parse_log(lines, PATH)
    assert log.candidates[0].evaluation == Evaluation("ok", 2.25, val_loss=2.25)
    assert (log.winner.fitness, log.winner.val_loss, log.winner.seed) == ("held-out", 2.25, 5)
    assert log.winner.loss == ranked[0].evaluation.last_loss
