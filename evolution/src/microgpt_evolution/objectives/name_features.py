"""Features of names: runs of vowels or consonants, symmetry, repetition and soft endings."""

MIN_LENGTH = 3  # shorter names are not scored
VOWELS = frozenset("aeiouy")
SOFT_ENDINGS = ("a", "n", "y")
LONGEST_RUN = 2  # longest run of vowels or consonants that is easy to pronounce


def normal(name: str) -> str:
    """Normalise a name: strip whitespace and convert to lower case."""
    return name.strip().lower()


def is_word(name: str) -> bool:
    """Return whether a normalised name is long enough and contains only letters."""
    return len(name) >= MIN_LENGTH and name.isalpha()


def n_stumbles(name: str) -> int:
    """Count the letters that extend a run of vowels or consonants beyond LONGEST_RUN.

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
    """Return whether a name is a palindrome."""
    return name == name[::-1]


def is_doubled(name: str) -> bool:
    """Return whether a name has at least four letters and repeats its first half.

    If the number of letters is odd, the last letter is ignored, so "lelel" also counts as doubled.
    """
    half = len(name) // 2
    return len(name) >= 4 and name[:half] == name[half : 2 * half]


def ends_softly(name: str) -> bool:
    """Return whether a name ends in one of SOFT_ENDINGS."""
    return name.endswith(SOFT_ENDINGS)
