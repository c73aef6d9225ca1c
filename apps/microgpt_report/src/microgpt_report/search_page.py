"""The report of one run: which pictures and tables it has, and what is said of them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean

from microgpt_evolution import confidence_interval
from microgpt_evolution.genome import GENES
from microgpt_report.charts import (
    archives,
    exchanges,
    generations,
    genes,
    lineage,
    pareto,
    retest,
    species,
)
from microgpt_report.charts.importance import Importance, importance
from microgpt_report.facts import facts
from microgpt_report.rows import (
    Row,
    champion_names,
    evaluation_rows,
    generation_rows,
    species_rows,
    title_of,
)
from microgpt_report.run_summary import RunSummary
from microgpt_report.section import Report, Section, Table

N_NAMES = 12  # of a champion
FEWEST = 12  # evaluations from which importance can be told


def report_of(story: RunSummary) -> Report:
    """Return the report of one run."""
    maker = _Maker(story)
    sections = list(maker.sections())
    kind = {"loss": "loss evolution", "aesthetic": "aesthetic evolution", "hydra": "Hydra"}
    title = f"{kind.get(story.objective, story.objective)}: {story.name}"
    return Report(title, facts(story), sections, maker.datasets)


class _Maker:
    """Makes the sections of a run, and gathers the data that their pictures want."""

    def __init__(self, story: RunSummary) -> None:
        self.story = story
        self.rows = evaluation_rows(story)
        self.datasets: dict[str, list[Row]] = {"evaluations": self.rows}

    def sections(self) -> Iterator[Section]:
        yield self._generations()
        if table := self._exam():
            yield table
        yield from self._honesty()
        yield from self._names()
        if self.story.champions:
            yield self._pareto()
        yield from self._genes()
        yield self._species()
        if not self.story.run.is_imported:
            yield self._lineage()
        if self.story.objective == "hydra":
            yield from self._hydra()

    def _generations(self) -> Section:
        self.datasets["generations"] = generation_rows(self.story)
        is_loss = self.story.common.is_loss
        which = "lower" if is_loss else "higher"
        caption = (
            f"A mark is an evaluation, and {which} is better; the line goes through the best of "
            "each generation, the dashed one through the mean. What came to no result is crossed, "
            "at the top."
        )
        if any(generation.rung != "normal" for generation in self.story.generations):
            caption += " Shaded: the search was stuck, and bred otherwise."
        chart = generations.draw(self.story, self.rows)
        return Section("generations", "From generation to generation", caption, chart)

    def _exam(self) -> Section | None:
        exam = self.story.exam
        if exam is None:
            return None
        losses = {
            "last document": exam.last_loss,
            "held out": exam.val_loss,
            "test": exam.test_loss,
            **{f"{title_of(n) or n.title()} (score)": m for n, m in exam.scores.items()},
        }
        table = Table(
            ["", "found", "trained again", "95 % interval", "seeds"],
            [
                [
                    name,
                    "–" if measured.found is None else f"{measured.found:.4f}",
                    f"{fmean(measured.again):.4f}" if measured.again else "–",
                    f"± {confidence_interval.half_width(measured.again):.4f}"
                    if len(measured.again) > 1
                    else "–",
                    str(len(measured.again)),
                ]
                for name, measured in losses.items()
            ],
        )
        return Section(
            "exam",
            "Lucky and honest",
            "What the search found of its winner, beside what came of it when it was trained "
            "again with seeds that had no say. The test is on documents that nothing was chosen "
            "by; losses in nats a token.",
            table=table,
        )

    def _honesty(self) -> Iterator[Section]:
        if measured := retest.rows(self.story):
            self.datasets["again"] = measured
            yield Section(
                "again",
                "The best, measured again",
                "The best of many is partly lucky: a ring is what the search found, a triangle "
                "what a fresh seed gave. The mean of all, a dash, decides.",
                chart=retest.draw(self.story, measured),
            )
        if retest.has_both_losses(self.rows):
            yield Section(
                "lottery",
                "Last document against held out",
                "Each point is an evaluation. Were the loss of the last document of a training a "
                "measure of the model, the points would lie along a line; the luckiest would be "
                "the best.",
                chart=retest.draw_lottery(self.rows),
            )

    def _names(self) -> Iterator[Section]:
        rows = [
            [title_of(name) or organism.id, f"{organism.worth:.4f}", _listed(names)]
            for name, organism in self.story.champions.items()
            if (names := champion_names(self.story, organism))
        ]
        exam, winner = self.story.exam, self.story.winner
        if exam and winner:
            rows.append([f"winner, {winner.id}", f"{winner.worth:.4f}", _listed(exam.names)])
        if rows:
            yield Section(
                "names",
                "What they say",
                "The first names that each champion made up, as it was found; the winner's are "
                "those of its first training again.",
                table=Table(["champion", "worth", "names"], rows, is_prose=True),
            )

    def _pareto(self) -> Section:
        return Section(
            "pareto",
            "What it costs",
            "The red line is the Pareto front: no organism with as few weights is better. What "
            "lies far from it is too large for what it is worth.",
            chart=pareto.draw(self.story),
        )

    def _genes(self) -> Iterator[Section]:
        done = [row for row in self.rows if row["overall"] is not None]
        names = genes.varying(done)
        if not names:
            return
        self.datasets["labels"] = genes.label_rows(done)
        measure = self.story.common.name
        yield Section(
            "genes",
            "Genes",
            f"A line is an organism, its color {measure}. Drag over the strip at the right to see "
            "which genes the best have in common; all axes are logarithmic.",
            chart=genes.draw(self.story, done),
        )
        if found := self._importance(done):
            self.datasets["importance"] = [
                asdict(one) | {"word": one.word, "end": max(one.share, one.chance)} for one in found
            ]
            yield Section(
                "importance",
                "Which genes mattered",
                f"How much of the differences in {measure} goes with one gene alone: the share of "
                "the variance of its ranks that lies between groups of organisms, made by the gene "
                "(up to four; eta squared of Kruskal and Wallis's H). Chance alone gets beyond "
                "the red mark one time in twenty; bars that do not are grey. Genes that were bred "
                "together share what one of them did.",
                chart=genes.draw_importance(found),
            )

    def _importance(self, rows: list[Row]) -> list[Importance]:
        """Return what the genes of the organisms have to do with worth, the most first."""
        bred = [row for row in rows if row["origin"] not in ("confirm", "primordial")]
        if len(bred) < FEWEST:
            return []
        sign = -1 if self.story.common.is_loss else 1
        worths = [sign * row["overall"] for row in bred]
        found = [importance(gene, [row[gene] for row in bred], worths) for gene in GENES]
        return sorted((one for one in found if one), key=lambda one: -one.share)

    def _species(self) -> Section:
        rows = species_rows(self.story, species.N_NAMED)
        self.datasets["species"] = rows
        names = list(dict.fromkeys(row["name"] for row in rows if row["name"] != "other"))
        return Section(
            "species",
            "Species",
            "A species is a shape: what learns otherwise is of the same. Each column is a "
            "generation; one color that fills it means that the search has settled.",
            chart=species.draw(self.story, names),
        )

    def _lineage(self) -> Section:
        nodes, ties = lineage.rows(self.story)
        self.datasets |= {"organisms": nodes, "ties": ties}
        caption = (
            "A column is a generation, its best on top; lines go from parents to children, the "
            "bold ones to the winner, or the best so far."
        )
        if len(nodes) < len(self.story.organisms):
            caption += (
                f" Of each generation the best {lineage.N_PLACES} are shown, and below them "
                "ancestors of the winner."
            )
        return Section("lineage", "Descent", caption, chart=lineage.draw(self.story, nodes))

    def _hydra(self) -> Iterator[Section]:
        guests = exchanges.rows(self.story)
        if guests:
            self.datasets["exchanges"] = guests
            yield Section(
                "exchanges",
                "When the heads met",
                "Champions go as guests from their head to others, after every third generation. "
                "The bolder the line, the more came of it: the guest, or its child with the "
                "champion there, was among the two best of its generation, and stayed.",
                chart=exchanges.draw(self.story),
            )
        if self.story.settings and self.story.settings.vocab_size:
            cells = archives.rows(self.story)
            self.datasets["archive"] = cells
            yield Section(
                "archives",
                "Archives",
                "Where each head has looked: a cell is a size and a share of new names, its color "
                "the best score found there. Scores of different heads cannot be compared.",
                chart=archives.draw(self.story, cells),
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name or "''" for name in names[:N_NAMES])
