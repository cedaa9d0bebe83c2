"""What is done to an office: each blow, and how it is made good as a service manager or an administrator would."""

from __future__ import annotations

import random
import time
from collections import Counter, deque

from tests.soak.citizens import Citizens
from tests.soak.office import Office

HOURS = 3600.0
# A hardware clock that keeps local time is seven hours off. Alone, a process that dies three minutes ahead holds its
# claims three minutes longer (on PostgreSQL all have the database's time): that much need not be waited for.
WRONG = {True: (-7 * HOURS, -180.0, 180.0, 7 * HOURS), False: (-7 * HOURS, -180.0, 30.0, 7 * HOURS)}


class Blows:
    """Hits one office, in an order that its seed tells.

    Attributes:
        counts: name of a blow → how often; "disk full, felt": in how many of these a door answered 5xx.
    """

    def __init__(self, office: Office, citizens: Citizens, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._office, self._citizens, self._chance = office, citizens, chance
        self._blows = {
            "kill": self._kill, "kill all": self._kill_all, "SMS gateway down": self._gateway_down,
            "answers lost": self._answers_lost, "clock jumped": self._clock,
        }  # fmt: skip
        if office.server is not None:
            self._blows["database restarted"] = office.restart_database
        if not office.disk.reason:
            self._blows["disk full"] = self._disk_full
        self._round = [name for name in reversed(self._blows) if name in {"clock jumped", "disk full"}]

    def next(self) -> None:
        """One blow more: in each round each kind once, in any order, and a kill besides; the longest ones first."""
        if not self._round:
            self._round = [*self._blows, "kill"]
            self._chance.shuffle(self._round)
        name = self._round.pop()
        self._blows[name]()
        self.counts[name] += 1

    def make_good(self) -> None:
        """Gateways are well, the clocks right, the disk free."""
        self._office.set_clocks([0.0] * len(self._office.replicas))
        for stand_in in (self._office.twilio, self._office.zalo, self._office.telegram):
            stand_in.plan.clear()
        self._office.zalo_bot.faults.clear()
        self._office.disk.free()

    def _kill(self) -> None:
        self._office.kill(self._chance.choice(self._office.replicas))

    def _kill_all(self) -> None:
        for replica in self._office.replicas:
            replica.kill()
        for replica in self._office.replicas:
            replica.start()

    def _gateway_down(self) -> None:
        self._office.twilio.next_is(*self._chance.choices(["503", "500", "lose", "busy"], k=8))

    def _answers_lost(self) -> None:
        self._office.twilio.next_is("drop")
        self._office.zalo.plan.append("drop")
        self._office.telegram.plan.append("drop")
        self._office.zalo_bot.faults["sendMessage"] = deque(["drop"])

    def _clock(self) -> None:
        """Some clocks jump; in half of the cases a replica dies meanwhile, so that what it held is of a wrong time."""
        office, chance = self._office, self._chance
        wrong = WRONG[office.server is not None]
        office.set_clocks([chance.choice((0.0, *wrong)) for _ in office.replicas[1:]] + [chance.choice(wrong)])
        time.sleep(chance.uniform(3, 8))
        if chance.random() < 0.5:
            self._kill()
            time.sleep(chance.uniform(0, 2))
        office.set_clocks([0.0] * len(office.replicas))

    def _disk_full(self) -> None:
        before = self._citizens.refused["5xx"]
        self._office.disk.fill()
        time.sleep(self._chance.uniform(3, 8))
        self.counts["disk full, felt"] += self._citizens.refused["5xx"] > before
        self._office.disk.free()
        self._office.revive_database()
