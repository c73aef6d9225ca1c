import pytest

from microgpt_evolution.search.blacklist import Blacklist


def test_two_losses_above_the_threshold_blacklist_a_species(make_ranked) -> None:
    bad = make_ranked([2.4], n_layer=2)
    once = Blacklist("last-doc").after(bad)
    assert once.species == ()
    assert once.after(bad).species == ("16-4-2-16-4",)


def test_two_failures_in_one_generation_count(make_ranked) -> None:
    assert Blacklist("last-doc").after(make_ranked([2.31, 2.9])).species == ("16-4-1-16-4",)


def test_a_loss_at_the_threshold_is_no_failure(make_ranked) -> None:
    assert Blacklist("last-doc").after(make_ranked([2.3, 2.3, 1.0])).failures == {}


def test_the_training_settings_do_not_change_the_species(make_ranked) -> None:
    blacklist = Blacklist("last-doc").after(make_ranked([2.4], lr=0.1))
    assert blacklist.after(make_ranked([2.6], steps=900)).species == ("16-4-1-16-4",)


def test_crashes_and_kept_elites_are_no_failures(make_ranked, make_organism) -> None:
    crashed = make_ranked([None, None, float("nan")])
    elite = [make_organism(2.9, origin="elite")]
    assert Blacklist("last-doc").after(crashed).after(elite).after(elite).failures == {}


def test_an_elite_that_is_measured_again_may_fail(make_organism) -> None:
    anew = [make_organism(2.9, origin="re-eval")]
    assert Blacklist("last-doc").after(anew).failures == {"16-4-1-16-4": (2.9,)}


def test_held_out_losers_are_the_worst_quartile_so_far(make_ranked) -> None:
    blacklist = Blacklist("held-out").after(make_ranked([2.2, 2.3, 2.4, 2.5], n_layer=1))
    assert blacklist.failures == {"16-4-1-16-4": (2.5,)}
    # Of eight the worst two: 2.6, which is new, and 2.5, which has been counted.
    blacklist = blacklist.after(make_ranked([2.0, 2.1, 2.45, 2.6], n_layer=2))
    assert blacklist.failures == {"16-4-1-16-4": (2.5,), "16-4-2-16-4": (2.6,)}
    assert blacklist.species == ()
    blacklist = blacklist.after(make_ranked([2.0, 2.0, 2.1, 2.7], n_layer=2))
    assert blacklist.species == ("16-4-2-16-4",)


def test_the_species_with_the_most_failures_comes_first(make_ranked) -> None:
    blacklist = Blacklist("last-doc").after(make_ranked([2.4, 2.5], n_layer=3))
    blacklist = blacklist.after(make_ranked([2.4, 2.5, 2.6], n_layer=2))
    assert blacklist.species == ("16-4-2-16-4", "16-4-3-16-4")


@pytest.mark.parametrize("fitness", ["held-out", "last-doc"])
def test_a_blacklist_is_immutable(make_ranked, fitness) -> None:
    blacklist = Blacklist(fitness).after(make_ranked([2.0, 2.5, 2.6, 2.7]))
    before = Blacklist(fitness, blacklist.values, dict(blacklist.failures))
    blacklist.after(make_ranked([2.9, 2.9, 2.8, 2.7]))
    assert blacklist == before
