from microgpt_evolution.search.blacklist import Blacklist


def test_two_losses_above_the_threshold_blacklist_a_species(make_ranked) -> None:
    once = Blacklist("last-doc").after(make_ranked([2.3, 2.4], lr=0.1))  # 2.3 is no failure
    assert (once.species, once.failures) == ((), {"16-4-1-16-4": (2.4,)})
    assert once.after(make_ranked([2.6], steps=900)).species == ("16-4-1-16-4",)
    assert Blacklist("last-doc").after(make_ranked([2.31, 2.9])).species == ("16-4-1-16-4",)


def test_crashes_and_kept_elites_are_no_failures(make_ranked, make_organism) -> None:
    crashed = make_ranked([None, None, float("nan")])
    elite, anew = ([make_organism(2.9, origin=origin)] for origin in ("elite", "re-eval"))
    assert Blacklist("last-doc").after(crashed).after(elite).after(elite).failures == {}
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
