"""Features of a name's letters: runs, repeated halves, ending."""

MIN_LENGTH = 3  # shorter names are not scored
VOWELS = frozenset("aeiouy")
SOFT_ENDINGS = ("a", "n", "y")
LONGEST_RUN = 2  # of vowels or consonants, still easy to pronounce


def normal(name: str) -> str:
    """Normalise a name: strip whitespace and convert to lower case."""
    return name.strip().lower()


def is_word(name: str) -> bool:
    """Return whether a normalised name is long enough and has only letters."""
    return len(name) >= MIN_LENGTH and name.isalpha()


def n_stumbles(name: str) -> int:
    """Count the letters beyond the longest easy run of vowels or consonants.

    >>> n_stumbles("abcd"), n_stumbles("abcdf")
    (1, 2)
    """
    stumbles = run = 0
    was_vowel = False
    for letter in name:
        is_vowel = letter in VOWELS
        run = run + 1 if is_vowel == was_vowel else 1
        was_vowel = is_vowel
        stumbles += run > LONGEST_RUN
    return stumbles


def is_palindrome(name: str) -> bool:
    """Return whether a name reads the same backwards."""
    return name == name[::-1]


def is_doubled(name: str) -> bool:
    """Return whether a name of four letters or more repeats its first half.

    With an odd number of letters the last is ignored: "lelel" is doubled, too.
    """
    half = len(name) // 2
    return len(name) >= 4 and name[:half] == name[half : 2 * half]


def ends_softly(name: str) -> bool:
    """Return whether a name has a soft ending."""
    return name.endswith(SOFT_ENDINGS)
