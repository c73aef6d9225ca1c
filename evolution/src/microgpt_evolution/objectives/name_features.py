"""What can be seen in the letters of a name: runs, halves, the ending."""

MIN_LENGTH = 3  # of a name that anyone has an opinion on
VOWELS = frozenset("aeiouy")
SOFT_ENDINGS = ("a", "n", "y")
LONGEST_RUN = 2  # of vowels or of consonants, that is said with ease


def normal(name: str) -> str:
    """Return the name as all measures read it: without space around it, in lower case."""
    return name.strip().lower()


def is_word(name: str) -> bool:
    """Return whether a normal name is long enough and has nothing but letters."""
    return len(name) >= MIN_LENGTH and name.isalpha()


def n_stumbles(name: str) -> int:
    """Return the number of letters that make a run of vowels, or of consonants, too long.

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
    """Return whether a name of four letters or more says its first half twice.

    Of an odd number of letters the last is left out: "lelel" is doubled, too.
    """
    half = len(name) // 2
    return len(name) >= 4 and name[:half] == name[half : 2 * half]


def ends_softly(name: str) -> bool:
    """Return whether a name ends as many names do."""
    return name.endswith(SOFT_ENDINGS)
