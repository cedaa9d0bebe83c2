"""The advisors' desk: who answers a citizen, the bot or a person. No web here; ``bot.console.inbox`` shows it."""
