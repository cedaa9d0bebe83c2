"""Twilio's delivery reports: for each message several, some twice, in any order, until each has been taken."""

from __future__ import annotations

import random
import threading
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tests.soak.office import Office

LOST = 0.05  # of the messages don't arrive on the phone


class Reports:
    """Tells replicas what became of the SMS.

    Attributes:
        last: Twilio's id of a message → what became of it in the end, for those of which all was told.
        told: how many reports were taken.
        faults: what must not happen at the door.
    """

    def __init__(self, office: Office, seed: int) -> None:
        self.last: dict[str, str] = {}
        self.told = 0
        self.faults: list[str] = []
        self._office, self._chance = office, random.Random(f"{seed}/reports")  # noqa: S311 - to be repeated
        self._pending: list[tuple[str, str]] = []
        self._seen = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stop.set()
        self._thread.join()

    @property
    def done(self) -> bool:
        """Whether everything was told."""
        return not self._pending and self._seen == len(self._office.twilio.messages)

    def _run(self) -> None:
        while not self._stop.wait(0.02 if self._pending else 0.2):
            messages = self._office.twilio.messages
            for message in messages[self._seen : len(messages)]:
                self._plan(message["sid"])
                self._seen += 1
            if self._pending:
                one = self._pending.pop(self._chance.randrange(len(self._pending)))
                if self._tell(*one):
                    self.told += 1
                else:
                    self._pending.append(one)

    def _plan(self, sid: str) -> None:
        final = "undelivered" if self._chance.random() < LOST else "delivered"
        reports = [(sid, status) for status in ("sent", final)]
        self._pending += reports + [one for one in reports if self._chance.random() < 0.3]
        self.last[sid] = final

    def _tell(self, sid: str, status: str) -> bool:
        error_code = "30003" if status == "undelivered" else None
        url, body, headers = self._office.twilio.callback(sid, status, error_code=error_code)
        public = urlsplit(url)
        base = self._chance.choice(self._office.replicas).url
        try:
            with urlopen(Request(f"{base}{public.path}?{public.query}", body, headers), timeout=30) as answer:  # noqa: S310
                return 200 <= answer.status < 300
        except HTTPError as error:
            error.close()
            if error.code < 500:
                self.faults.append(f"report {sid} {status}: HTTP {error.code}")
                return True
        except (OSError, HTTPException):
            pass  # killed just now
        return False
