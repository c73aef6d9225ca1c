"""The exception that the build of the site raises."""


class SiteError(Exception):
    """A link, the navigation or an explanation does not match the files of the repository."""
