"""The error of a site that cannot be built."""


class SiteError(Exception):
    """A page or the navigation refers to something that does not exist."""
