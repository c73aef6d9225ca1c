import pytest

from microgpt_evolution.evolution_errors import StudyError, raised_as
from microgpt_evolution.study_settings import SearchSettings


def test_settings_begin_with_the_known_options_only() -> None:
    facts = {"input": "names.txt", "data_sha256": "", "seed": 1}
    settings = SearchSettings.begin({"population": 4, "color": "red", "seed": 2}, **facts)
    assert (settings.population, settings.generations, settings.seed) == (4, 10, 1)


def test_a_plain_error_is_not_said_to_be_of_json() -> None:
    with pytest.raises(StudyError, match=r"^why$"), raised_as(StudyError):
        raise ValueError("why")
