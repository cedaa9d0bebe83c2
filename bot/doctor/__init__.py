"""The checks of ``motcua doctor``: each looks at one thing of a deployment and says what to do where it is amiss.

Nothing here changes anything; ``bot.commands.doctor`` prints what was found.
"""

from __future__ import annotations

from bot.doctor.finding import Deployment, Finding, State, examine

__all__ = ["Deployment", "Finding", "State", "examine"]
