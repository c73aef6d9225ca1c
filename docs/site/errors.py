"""The error of a site that cannot be built."""


class SiteError(Exception):
    """Something is missing that a page or the navigation names."""
