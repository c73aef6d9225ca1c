import re

from microgpt_evolution import evolve

NAMES = ["anna", "emma", "ava", "mia", "ella", "nora", "lena", "ida", "ada", "eva", "<b>", "una"]


def test_plot_shows_a_search_by_generation() -> None:
    found = evolve(NAMES, population=4, generations=2)
    drawn = found.plot().to_dict()
    assert {int(row["generation"]) for row in drawn["datasets"]["trials"]} == {0, 1, 2}
    html = found._repr_html_()
    assert html
    assert 'src="data:image/png;base64,' in html
    assert len(re.findall("<li>", html)) == len(found.names)
    assert re.fullmatch("<EvolutionResult: [^\n]{,200}>", repr(found))
