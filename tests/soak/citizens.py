"""What comes in: each channel is one thread that writes again and again, until each message has been taken."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from standins.zalo_hooks import text_event

from bot.clock import utc_now
from tests.soak.office import API_KEY, SMS_SECRET, Office

TEXTS = ("làm giấy khai sinh cho con cần gì", "giờ làm việc", "chứng thực bản sao bao nhiêu tiền", "xin chào",
         "H30.99.01-261116-0001", "gặp cán bộ")  # fmt: skip


class Citizens:
    """Writes on all channels until told to stop.

    Attributes:
        taken: channel → how many messages the service said it had; each is of a sender of its own.
        notified: phones of the dossiers that became ready: each is to get one SMS.
        faults: what must not happen at the doors.
    """

    def __init__(self, office: Office, seed: int, pause: float) -> None:
        self.taken: Counter[str] = Counter()
        self.notified: list[str] = []
        self.faults: list[str] = []
        self._office, self._pause, self._stop = office, pause, threading.Event()
        ways = {"telegram": self._telegram, "zalo_bot": self._zalo_bot, "zalo_oa": self._zalo_oa, "sms": self._sms,
                "api": self._dossier}  # fmt: skip
        self._threads = [
            threading.Thread(target=self._run, args=(name, way, random.Random(f"{seed}/{name}")))  # noqa: S311
            for name, way in ways.items()
        ]

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No new messages; those under way are brought in first."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str, way: Callable[[str, int, str], bool], chance: random.Random) -> None:
        number = 0
        while not self._stop.wait(chance.expovariate(1 / self._pause)):
            number += 1
            text = chance.choice(TEXTS)
            copies = chance.choices([1, 2], [8, 2])[0]  # providers repeat themselves
            for _ in range(copies):
                self._bring(name, lambda base: way(base, number, text), chance)  # noqa: B023 - called at once
            self.taken[name] += 1

    def _bring(self, name: str, call: Callable[[str], bool], chance: random.Random) -> None:
        until = time.monotonic() + 180
        while time.monotonic() < until:
            try:
                if call(chance.choice(self._office.replicas).url):
                    return
            except HTTPError as error:
                error.close()
                if error.code < 500 and error.code != 429:
                    self.faults.append(f"{name}: HTTP {error.code}")
            except (OSError, HTTPException):
                pass  # killed just now
            time.sleep(0.2)
        self.faults.append(f"{name}: a message was not taken in 180 s")

    def _telegram(self, base: str, number: int, text: str) -> bool:
        update = {"update_id": number, "message": {
            "message_id": number, "date": int(time.time()), "text": text,
            "from": {"id": 10_000 + number, "is_bot": False, "first_name": "Ba"},
            "chat": {"id": 10_000 + number, "type": "private", "first_name": "Ba"},
        }}  # fmt: skip
        return self._office.telegram.post(base, update) == 200

    def _zalo_bot(self, base: str, number: int, text: str) -> bool:
        said = self._office.zalo_bot.said(text, f"u{number}", message_id=f"b{number}")
        return 200 in self._office.zalo_bot.deliver(base, said, tries=1)

    def _zalo_oa(self, base: str, number: int, text: str) -> bool:
        body = text_event(text, utc_now(), user=f"9{number}", msg_id=f"o{number}")
        self._office.zalo.last_interaction[f"9{number}"] = utc_now()
        hooks = self._office.hooks
        hooks.url = f"{base}/webhooks/zalo-oa"
        return hooks.once(body) == 200

    def _sms(self, base: str, number: int, text: str) -> bool:
        raw = json.dumps({"id": f"s{number}", "from": f"+84951{number:06d}", "text": text}).encode()
        at = str(int(time.time()))
        signature = hmac.new(SMS_SECRET.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "x-motcua-timestamp": at, "x-motcua-signature": signature}
        return self._call(Request(f"{base}/webhooks/sms/generic/inbound", raw, headers))  # noqa: S310

    def _dossier(self, base: str, number: int, _text: str) -> bool:
        phone = f"+84952{number:06d}"
        body = {"status": 9, "phone": phone, "consent_sms": True, "change_id": f"c{number}"}
        code = f"H30.99.01-261116-{number:04d}"
        headers = {"content-type": "application/json", "authorization": f"Bearer {API_KEY}"}
        request = Request(f"{base}/api/dossiers/{code}", json.dumps(body).encode(), headers, method="PUT")  # noqa: S310
        taken = self._call(request)
        if taken and phone not in self.notified:
            self.notified.append(phone)
        return taken

    @staticmethod
    def _call(request: Request) -> bool:
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - our own address
            return 200 <= answer.status < 300
