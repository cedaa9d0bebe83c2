"""Telegram through python-telegram-bot: a web hook inside our web app, or long polling without a public address.

The library speaks the Bot API; order, duplicates and memory are the queue's business, so updates are committed to
the inbox and replies come from the outbox. Imported only where the channel is on: the library is slow to import.
"""

from __future__ import annotations

from bot.channels.telegram.channel import Telegram
from bot.channels.telegram.incoming import CHANNEL

__all__ = ["CHANNEL", "Telegram"]
