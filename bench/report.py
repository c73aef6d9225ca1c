"""Write the benchmark tables and pictures in docs/ from bench/results.

uv run python bench/report.py
"""

import json
import re
from pathlib import Path

import pictures
import quality_picture
from architecture_tables import architecture_table
from distillation_tables import distillation_table
from minutes_tables import (
    intervals_table,
    law_text,
    minutes_table,
    surface_table,
    variations_tables,
)
from quality_tables import ablation_table, ngrams_table, presets_table
from search_fight_picture import fight_picture
from search_fight_tables import fight_section
from search_real_tables import real_table
from secret_detection_tables import examples_table, secrets_table
from shakespeare_tables import shakespeare_table
from tables import (
    NAMES,
    chat_table,
    decoding_rows,
    evaluating_rows,
    evolution_rows,
    exchange_champions_table,
    exchange_genomes_table,
    fitness_table,
    names_rows,
    scaling_tables,
    speed_rows,
    startup_rows,
    table,
    threads_rows,
)
from text_tables import replies, text_table

from microgpt_report.look import picture

ROOT = Path(__file__).parents[1]
RESULTS, PICTURES = ROOT / "bench" / "results", ROOT / "docs" / "pictures"
PAGES = [
    ROOT / "docs" / name
    for name in (
        "performance.md",
        "evolution.md",
        "chat.md",
        "quality.md",
        "choice.md",
        "score.md",
    )
]
UNMEASURED = "Not measured yet."
PICTURED = "amd-epyc"  # machine whose results the single-machine charts show
EVALUATING = ["", "training", "loss of tokens", "`InferenceGpt.evaluate` of texts"]


def main() -> None:
    """Write the tables and the pictures."""
    (fitness,) = results("evolution_fitness")  # one machine suffices: no times are measured
    (exchange,) = results("hydra_exchange")
    (chat,) = results("chat_quality")
    (quality,) = results("quality")
    (kneser_ney,) = results("kneser_ney")
    text = results("text_quality")
    shakespeare, architecture = results("shakespeare"), results("architecture")
    speed, scaling, decoding, threads, startup = map(
        results, ("train_speed", "train_scaling", "decode_speed", "threads", "startup")
    )
    minutes, distilled, real, detection = map(
        results, ("minutes", "distillation", "search_real", "secret_detection")
    )
    experience = [
        json.loads(line) for line in (RESULTS / "experience.jsonl").read_text().splitlines()
    ]
    choice = json.loads((RESULTS / "choice.json").read_text())
    fight_file = RESULTS / "search_fight.json"
    fight = json.loads(fight_file.read_text()) if fight_file.exists() else {}
    tables = {
        "train_speed": table(["", *NAMES.values()], speed_rows, speed),
        "train_scaling": scaling_tables(scaling),
        "decode_speed": table(["tokens/s", *NAMES.values()], decoding_rows, decoding),
        "decode_names": table(["", ""], names_rows, decoding),
        "evaluating": table(EVALUATING, evaluating_rows, decoding),
        "threads": table(["", "one thread", "two", ""], threads_rows, threads),
        "startup": table(["", "", "× `import numpy`"], startup_rows, startup),
        "evolution_speed": table(["", ""], evolution_rows, results("evolution_speed")),
        "evolution_fitness": fitness_table(fitness),
        "exchange_genomes": exchange_genomes_table(exchange),
        "exchange_champions": exchange_champions_table(exchange),
        "chat_quality": chat_table(chat),
        "quality_presets": presets_table(quality),
        "quality_ngrams": ngrams_table(kneser_ney),
        "quality_ablation": ablation_table(quality),
        "shakespeare": shakespeare_table(shakespeare[0]) if shakespeare else UNMEASURED,
        "architecture": architecture_table(architecture[0]) if architecture else UNMEASURED,
        "text_quality": text_table(text[0]) if text else UNMEASURED,
        "choice_surface": surface_table(choice),
        "choice_variations": variations_tables(experience),
        "choice_law": law_text(choice),
        "minutes": minutes_table(minutes[0], experience) if minutes else UNMEASURED,
        "minutes_intervals": intervals_table(minutes[0]) if minutes else UNMEASURED,
        "distillation": distillation_table(distilled[0]) if distilled else UNMEASURED,
        "search_fight": fight_section(fight) if fight else UNMEASURED,
        "search_real": real_table(real[0]) if real else UNMEASURED,
        "secret_detection": secrets_table(detection[0]) if detection else UNMEASURED,
        "secret_examples": examples_table(detection[0]) if detection else UNMEASURED,
        "text_replies": replies(text[0]) if text else UNMEASURED,
    }
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        path.write_text(filled(page, tables), encoding="utf-8")
    drawn = {
        "secrets": pictures.secrets(detection[0]) if detection else None,
        "decode_speed": pictures.speeds(decoding[0]),
        "train_speed": pictures.ratios(speed[0]),
        "loss_against_seconds": pictures.curves(speed[0]),
        "train_scaling": pictures.costs(scaling),
        "last_document": pictures.last_document(fitness),
        "chat_quality": pictures.answers(chat),
        "names_quality": quality_picture.quality(quality, kneser_ney),
        "exchanges": pictures.exchanges(exchange),
        "search_fight": fight_picture(fight) if fight else None,
    }
    for name, chart in drawn.items():
        if chart:
            (PICTURES / f"{name}.svg").write_bytes(picture(chart.to_dict(), "svg"))


def results(bench: str) -> list[dict]:
    """Return the results of a benchmark on each machine, starting with PICTURED."""
    paths = sorted(RESULTS.glob(f"*/{bench}.json"))
    paths.sort(key=lambda path: path.parent.name != PICTURED)
    return [json.loads(path.read_text()) for path in paths]


def filled(page: str, tables: dict[str, str]) -> str:
    """Return the page with the text between the markers of each table replaced."""
    return re.sub(
        r"<!-- (\w+) -->\n.*?<!-- end -->",
        lambda m: f"<!-- {m[1]} -->\n{tables[m[1]]}\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    main()
