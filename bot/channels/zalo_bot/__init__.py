"""Zalo Bot Platform: a bot made inside Zalo with "Zalo Bot Manager"; no verified account, no buttons, plain text.

Facts: reference/channels.md §2, grade [B] and below: no live call was made. Without a public address the bot asks for
messages (getUpdates); with one, Zalo calls our web hook.

What polling can't promise: getUpdates has no offset. An update that was handed out is gone from Zalo's side, so one
that is on its way when the process dies, before our commit a moment later, can't be had again. The window is kept
small: one call at a time, the commit directly after it, a short wait in each call, an orderly stop that awaits the
call under way. Where no message may ever be lost, use the web hook: it is answered with 200 after the commit.
"""

from bot.channels.zalo_bot.channel import ZaloBot, webhook_secret

__all__ = ["ZaloBot", "webhook_secret"]
