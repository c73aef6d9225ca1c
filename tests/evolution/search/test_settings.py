from dataclasses import replace

import pytest
from searches import SETTINGS

from microgpt.errors import ConfigError
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.space import Space

WARM = SETTINGS.model_copy(update={"warm_start": PRIMORDIAL})
HYDRA = SETTINGS.model_copy(update={"objective": "hydra", "samples": 20})


@pytest.mark.parametrize(
    ("settings", "given", "warm_start", "space", "problem"),
    [
        (SETTINGS, {"population": 9}, None, None, "--population is 9, but the run to resume has 8"),
        (SETTINGS, {"column": "a"}, None, None, "--column is a, but the run to resume has no col"),
        (HYDRA, {"head": "mirror"}, None, None, "--head is mirror, but the run to .* has no head"),
        (HYDRA, {"samples": 5}, None, None, "--samples is 5, but .* has 20; omit --samples"),
        (SETTINGS, {}, PRIMORDIAL, None, "--warm-start is Emb:16 .*, but the run to .* has none"),
        (WARM, {}, replace(PRIMORDIAL, steps=91), None, "Steps:91, but .* with .*Steps:200"),
        (
            SETTINGS,
            {},
            None,
            Space(values={}),
            "--space differs from that of the run to resume; omit",
        ),
    ],
)
def test_a_resumed_run_refuses_different_settings(
    settings, given, warm_start, space, problem
) -> None:
    with pytest.raises(ConfigError, match=problem):
        settings.check(given, warm_start, space)
