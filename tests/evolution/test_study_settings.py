import json

import pytest
from searches import SETTINGS

from microgpt_evolution.errors import StudyError, raised_as
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import SearchSettings


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"population": 0}, r"population: input should be"),
        ({"seed": None}, r"seed: input should be"),
        ({"warm_start": {"n_embd": 0}}, "n_embd must be >= 1, got 0"),
        ({"fitness": None}, "objective loss requires fitness"),
        ({"samples": 5}, "samples is only for objective aesthetic or hydra"),
    ],
)
def test_an_error_names_the_damaged_setting(tmp_path, change, problem) -> None:
    Study.begin(tmp_path, "evolve", SETTINGS, is_stamped=False).close()
    path = tmp_path / "evolve" / "settings.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | change))
    with pytest.raises(StudyError, match=rf"settings\.json: {problem}"):
        Study.open(path.parent, SearchSettings)


def test_settings_begin_with_the_known_options_only() -> None:
    facts = {"input": "names.txt", "data_sha256": "", "seed": 1}
    settings = SearchSettings.begin({"population": 4, "color": "red", "seed": 2}, **facts)
    assert (settings.population, settings.generations, settings.seed) == (4, 10, 1)


def test_a_plain_error_is_not_said_to_be_of_json() -> None:
    with pytest.raises(StudyError, match=r"^why$"), raised_as(StudyError):
        raise ValueError("why")
