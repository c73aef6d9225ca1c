"""SiteError, which the build of the site raises."""


class SiteError(Exception):
    """A page or the navigation refers to something that does not exist."""
