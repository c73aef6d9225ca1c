"""`microgpt ladder`: what a loss is worth, from a uniform guess to a GPT."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import DEFAULT_SEED, bits, check_setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import TextKind
    from microgpt_cli.ladder import Ladder


@examples("microgpt ladder", "microgpt ladder --data my.txt --output ladder.svg")
def ladder(
    data: Path | None = opt.option(
        None, f"{opt.TEXT_HELP}; with --chat, conversations.  [default: data/names.txt]", *opt.DATA
    ),
    chat: bool = opt.flag("--chat", "Read the file as conversations."),
    column: str | None = opt.COLUMN,
    me: str | None = opt.ME,
    separator: str | None = opt.SEPARATOR,
    text: str = opt.option("lines", "stream: one running text.", metavar="lines|stream"),
    budget: float | None = opt.option(
        None, "Operations of the first GPT, as for train.  [default: 1e11, about a second]"
    ),
    seed: int = opt.option(DEFAULT_SEED, opt.SEED_HELP),
    output: list[Path] | None = opt.option(None, opt.CHART_HELP, metavar="<path>"),
    as_json: bool = opt.AS_JSON,
) -> None:
    """Train models from a uniform guess to a GPT on a text, and compare their losses.

    Some documents are held out to choose among models, others to measure them. All losses are of
    the same characters. The Elman network and the first GPT take the same number of operations, the
    second GPT about twelve times as many.
    """
    given: dict[str, Any] = {"chat": chat, "column": column, "me": me, "separator": separator}
    given |= {"text": text, "budget": budget, "seed": seed}
    given = {name: value for name, value in given.items() if value not in (None, False)}
    for name, value in given.items():
        check_setting(name, value, f"--{name}")

    from microgpt import check_conflicts, default_engine, hold_out
    from microgpt_cli import ladder as models
    from microgpt_cli.charts import check_files, write_chart
    from microgpt_cli.terminal.progress_bar import load_kernels
    from microgpt_cli.training.inputs import read_input

    check_conflicts(given)
    check_files(output or ())
    engine = default_engine()
    file, docs = read_input(data, given)
    sets = hold_out(docs, {"budget": models.BUDGET[engine], **given})
    load_kernels(engine, uses=["training", "evaluation"])
    kind: TextKind = "stream" if isinstance(docs, str) else "lines"
    found = models.ladder(sets, text=kind, budget=budget, seed=seed, tell=note)
    if output:
        write_chart(models.draw_ladder(found), output)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    print(terminal_safe("\n".join(_table(found, file.path.name))))


def _table(ladder: "Ladder", name: str) -> Iterator[str]:
    """Yield the lines of a table with a row per model."""
    from microgpt_cli.ladder import shown

    where = f"{ladder.n_docs:,} held-out documents of {name}, {ladder.n_characters:,} characters"
    yield f"loss of {where}:"
    beginnings = "".join(f"  {shown(each):>10}" for each in ladder.beginnings)
    yield f"{'':22} {'nats':>6} {'bits':>6} {'operations':>10} {'seconds':>7}{beginnings}"
    for rung in ladder.rungs:
        cost = f"{rung.operations:10.1e} {rung.seconds:7.1f}" if rung.operations else " " * 18
        likely = "".join(f"  {shown(text):>5} {p:4.0%}" for text, p in rung.predictions)
        yield f"{rung.name:<22} {rung.loss:6.3f} {bits(rung.loss):6.3f} {cost}{likely}"
