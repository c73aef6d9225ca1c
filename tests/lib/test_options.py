from dataclasses import dataclass

import pytest

from microgpt.errors import ConfigError
from microgpt.options import Options, borrowed, join, setting


@dataclass(frozen=True)
class Dish(Options):
    salt: float = setting(1.0, "Grams of salt.", panel="Taste")
    sugar: float = setting(0.0, "Grams of sugar.", "--sweet", "--sugar", panel="Taste")
    raw: bool = setting(False, "Do not cook.", panel="Heat", excludes="oven minutes")
    oven: str | None = setting(None, "Kind of oven.", panel="Heat")
    minutes: int | None = setting(None, "Time.", panel="Heat", requires="oven=hot recipe")
    recipe: str | None = setting(None, "Recipe.", panel="Heat", allows="minutes")
    plate: str = setting("round", "Plate.", panel="Heat", harmless=True)
    again: str | None = setting(None, "Record.", panel="Heat", is_record=True)


def test_options_record_which_values_were_passed() -> None:
    dish = Dish(salt=1.0, oven=None)
    assert dish == Dish()
    assert [*dish] == ["salt", "oven"]
    assert "sugar" not in dish


def test_the_options_of_the_user_override_those_of_a_recipe() -> None:
    joined = join(Dish(salt=3.0, sugar=4.0).by("soup.json"), Dish(sugar=2.0))
    assert (joined.salt, joined.sugar) == (3.0, 2.0)
    assert joined.given == {"salt": "soup.json", "sugar": ""}


def test_a_conflict_error_names_the_source_of_the_other_option() -> None:
    with pytest.raises(ConfigError) as error:
        join(Dish(minutes=5, oven="hot").by("soup.json"), Dish(raw=True))
    assert str(error.value) == (
        "--raw cannot be used with --oven hot (soup.json); omit one of them"
    )


def test_options_within_one_recipe_may_conflict() -> None:
    assert join(Dish(raw=True, oven="hot").by("soup.json"), Dish(salt=2.0)).raw


def test_an_option_can_require_a_certain_value_of_another_option() -> None:
    problem = "--minutes 5 (soup.json) requires --oven hot or --recipe; add one of them or omit"
    with pytest.raises(ConfigError) as error:
        join(Dish(), Dish(oven="warm").over(Dish(minutes=5).by("soup.json")))
    assert str(error.value).startswith(problem)
    assert join(Dish(oven="hot").by("soup.json"), Dish(minutes=5)).minutes == 5


def test_a_recorded_option_satisfies_a_requirement() -> None:
    assert join(Dish(), Dish(minutes=5, again="yesterday")).minutes == 5


def test_an_exclusive_option_allows_only_certain_other_options() -> None:
    assert join(Dish(), Dish(recipe="soup", minutes=5, plate="flat")).recipe
    with pytest.raises(ConfigError, match=r"^--sweet cannot be used with --recipe; omit"):
        join(Dish(), Dish(recipe="soup", sugar=0.0))


def test_a_borrowed_option_keeps_its_flag_but_not_its_conflicts() -> None:
    @dataclass(frozen=True)
    class Drink(Options):
        sugar: float = borrowed(Dish, "sugar", panel="Drink")
        minutes: int | None = borrowed(Dish, "minutes", requires="sugar")

    assert Drink.flag("sugar") == "--sweet"
    assert Drink().sugar == 0.0
    assert Drink.setting("minutes").requires == "sugar"
    assert Dish.setting("minutes").requires == "oven=hot recipe"
