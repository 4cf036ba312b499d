"""The one error a user is meant to read."""


class InputError(ValueError):
    """The user's input can't be used.

    The message is one sentence without a leading capital or a final full stop: what is wrong, then what to do. The
    commands print it alone and exit with status 2.
    """


class NotFiniteError(InputError):
    """Some samples are NaN or infinite, which uint8 images would not show."""
