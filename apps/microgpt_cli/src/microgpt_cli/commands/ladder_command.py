"""`microgpt ladder`: compare the losses of models from a uniform guess to a GPT."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import DEFAULT_SEED, bits, check_setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import TextKind
    from microgpt_cli.ladder import Ladder


@examples("microgpt ladder --data my.txt --output ladder.svg", "microgpt ladder")
def ladder(
    data: Path | None = opt.option(
        None, f"{opt.TEXT_HELP}, or conversations.  [default: data/names.txt]", *opt.DATA
    ),
    column: str | None = opt.COLUMN,
    budget: float | None = opt.option(
        None, "Training operations of the first GPT.  [default: 1e11]"
    ),
    seed: int = opt.option(DEFAULT_SEED, opt.SEED_HELP),
    output: list[Path] | None = opt.option(None, opt.CHART_HELP, metavar="<path>"),
    as_json: bool = opt.AS_JSON,
) -> None:
    """Compare the losses of ever larger models on a text, from a uniform guess to a GPT.

    In between are n-grams, an Elman network and a small GPT, the latter two with the same number of
    operations. The last GPT has about ten times as many; on a small text, fewer, or it is left out.
    """
    check_setting("seed", seed, "--seed")
    check_setting("budget", budget, "--budget")

    from microgpt import ReadOptions, TextFile, default_engine, hold_out, prepare_engine
    from microgpt_cli import ladder as models
    from microgpt_cli.charts import check_files, write_chart
    from microgpt_cli.dataset_report import read_any
    from microgpt_cli.training.inputs import default_input

    check_files(output or ())
    engine = default_engine()
    file = TextFile(data or default_input())
    docs = read_any(file, ReadOptions(None, column))
    sets = hold_out(docs, {"budget": budget or models.BUDGET[engine]})
    prepare_engine(engine, uses=["training", "evaluation"])
    text: TextKind = "stream" if isinstance(docs, str) else "lines"
    found = models.ladder(sets, text=text, budget=budget, seed=seed, tell=note)
    if output:
        write_chart(models.draw_ladder(found), output)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    print(terminal_safe("\n".join(_table(found, file.path.name))))


def _table(ladder: "Ladder", name: str) -> Iterator[str]:
    """Yield the lines of a table of losses, costs and predictions, with a row per model."""
    from microgpt_cli.ladder import shown

    where = f"{ladder.n_docs:,} held-out documents of {name}, {ladder.n_characters:,} characters"
    yield f"loss of {where}:"
    beginnings = "".join(f"  {shown(each):>10}" for each in ladder.beginnings)
    yield f"{'':22} {'nats':>6} {'bits':>6} {'operations':>10} {'seconds':>7}{beginnings}"
    for rung in ladder.rungs:
        cost = f"{rung.operations:10.1e} {rung.seconds:7.1f}" if rung.operations else " " * 18
        likely = "".join(f"  {shown(text):>5} {p:4.0%}" for text, p in rung.predictions)
        yield f"{rung.name:<22} {rung.loss:6.3f} {bits(rung.loss):6.3f} {cost}{likely}"
