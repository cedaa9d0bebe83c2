"""The chat in the browser: on the office's page, and in a frame on other sites; with and without script."""

from collections.abc import Sequence

from bot.channels.web.door import FRAME, OWN_PAGE, Door, frame_of, page_of, same_origin
from bot.channels.web.photo import MAX_PHOTO_BODY
from bot.channels.web.routes import router
from bot.channels.web.streams import Events, Streams


def doors(offices: Sequence[str]) -> tuple[Door, ...]:
    """All doors of a deployment with these offices."""
    return (OWN_PAGE, FRAME, *(door(slug) for slug in offices for door in (page_of, frame_of)))


__all__ = ["MAX_PHOTO_BODY", "Events", "Streams", "doors", "router", "same_origin"]
