"""The advisors' inbox on the web: lists, threads, canned replies, an advisor's own name and chats, live news."""

from bot.console.inbox.live import Live
from bot.console.inbox.routes import router

__all__ = ["Live", "router"]
