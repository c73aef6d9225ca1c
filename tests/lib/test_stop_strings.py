from microgpt.stop_strings import cut_at_stop


def test_a_text_is_cut_before_the_first_complete_stop_string() -> None:
    assert cut_at_stop("xabcab", ("abc", "b")) == "xa"
    assert cut_at_stop("xabcab", ("ab", "b")) == "x"
    assert cut_at_stop("banana", ("na", "an")) == "b"
    assert cut_at_stop("banana", ("x",)) == "banana"
    assert cut_at_stop("banana", ()) == "banana"
