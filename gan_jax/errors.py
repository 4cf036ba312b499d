"""The one error a user is meant to read."""


class InputError(ValueError):
    """What the user gave can't be used.

    The message is one sentence: what was wrong, what was expected, what to do. The commands print
    it alone and exit with status 2.
    """
