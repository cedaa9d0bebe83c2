"""The one error type that means: the caller gave something wrong; nothing was changed."""

from __future__ import annotations


class BadInputError(ValueError):
    """Bad input. ``str()`` is one clear line for people: what, where, what is expected."""
