"""Which dossier codes a barcode carries: the code alone, or for a QR code a web address with the code in it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

from nlu.codes import is_canonical


def _parts(path: str, query: str) -> Iterator[str]:
    yield from (unquote(segment) for segment in path.split("/"))
    yield from (value for _, value in parse_qsl(query))


def _address_parts(text: str) -> Iterator[str]:
    """The segments of the path and the values of the query of a web address; nothing of any other text."""
    try:
        address = urlsplit(text)
    except ValueError:  # brackets that are no IPv6 address
        return
    if address.scheme not in {"http", "https"}:
        return
    yield from _parts(address.path, address.query)
    path, _, query = address.fragment.partition("?")  # portals of one page: "#/tra-cuu?ma=…"
    yield from _parts(path, query)


def dossier_codes(text: str, *, address: bool) -> tuple[str, ...]:
    """The dossier codes that a barcode says, each once, in canonical form.

    Machines write codes as they should be, so that nothing is mended here but the case: a part that is not a dossier
    code from end to end is none. A longer number with a code inside, an ID number, a name beside it: nothing.

    Args:
        text: what the barcode says.
        address: whether a web address counts too (QR codes).
    """
    parts = [text, *(_address_parts(text.strip()) if address else ())]
    read = (part.strip().upper() for part in parts)
    return tuple(dict.fromkeys(code for code in read if is_canonical(code)))
