"""Markdown tables of search_fight.py, for report.py."""

TITLES = {
    "random": "random search",
    "halving": "random search with successive halving",
    "local": "local search",
    "evolution": "regularised evolution",
    "optuna": "Optuna (TPE, median pruner)",
    "optuna_hyperband": "Optuna (TPE, Hyperband)",
    "dehb": "DEHB",
    "smac": "SMAC3 (random forest, Hyperband)",
    "rule": "the rule, no search",
    "ruled_halving": "the rule, then random search with successive halving",
    "ruled_optuna": "the rule, then Optuna",
    "ours": "microgpt evolve --minutes",
}
COSTS = (1, 5, 10, 30)  # columns, in complete training runs


def fight_section(fight: dict) -> str:
    """Return the picture and the tables."""
    about = "regret of each search against operations, with 95 % intervals"
    return f"![{about}](pictures/search_fight.svg)\n\n{fight_tables(fight)}"


def fight_tables(fight: dict) -> str:
    """Return a table of the regrets, and of their differences from ours, for each text."""
    tables = []
    for text, found in fight.items():
        compared = [*next(iter(found["differences"].values()), {})]
        head = [
            *(f"after {cost}" for cost in COSTS),
            *(f"− ours after {each}" for each in compared),
        ]
        lines = [[text, *head], ["---", *["---:"] * len(head)]]
        for name, title in TITLES.items():
            if name in found["curves"]:
                cells = [f"{found['curves'][name][cost - 1][0]:.4f}" for cost in COSTS]
                cells += [difference(each) for each in found["differences"].get(name, {}).values()]
                lines.append([title, *cells, *[""] * (len(head) - len(cells))])
        tables.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
    return "\n\n".join(tables)


def difference(found: list[float]) -> str:
    """Format a mean and its interval."""
    mean, low, high = found
    return f"{mean:+.4f} ({low:+.4f} … {high:+.4f})"
