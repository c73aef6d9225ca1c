"""Format amounts for people: counts with a noun, durations and percentages."""

DIGITS = 4  # significant digits of a number of operations that a user may type


def count(n: int, noun: str) -> str:
    """Format a number of things with a regular noun, such as "1 step" or "1,000 steps"."""
    return f"{n:,} {noun if n == 1 else f'{noun}s'}"


def duration(seconds: float) -> str:
    """Format a duration in at most two units, such as "0.25 s" or "2 min 05 s"."""
    if 0 < seconds < 0.001:
        return "less than 0.001 s"
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def percentage(share: float) -> str:
    """Format a share of 1, such as "12.3%"; a share that would be rounded to 0 is "<0.1%"."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def in_short(number: float, digits: int = DIGITS) -> str:
    """Format a large number in a form that can be typed, such as 8.7e12."""
    return f"{number:.{digits}g}".replace("e+0", "e").replace("e+", "e")
