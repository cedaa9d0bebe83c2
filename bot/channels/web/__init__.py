"""The chat in the browser: on the office's page, and in a frame on other sites; with and without script."""

from bot.channels.web.door import EMBED, FRAME, OWN_PAGE, same_origin
from bot.channels.web.photo import MAX_PHOTO_BODY
from bot.channels.web.routes import router
from bot.channels.web.streams import Events, Streams

PHOTO_PATHS = tuple(f"{door.path}/chat/photo" for door in (OWN_PAGE, FRAME))

__all__ = ["EMBED", "MAX_PHOTO_BODY", "PHOTO_PATHS", "Events", "Streams", "router", "same_origin"]
