"""What comes in: each channel is one thread that writes again and again, until each message has been taken.

A citizen writes one message, or several in a row without waiting for answers; providers repeat some of them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from io import BytesIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from standins.zalo_hooks import text_event

from bot.clock import utc_now
from tests.receipts.symbols import qr
from tests.soak.browsers import Browsers, RefusedError
from tests.soak.office import API_KEY, SMS_SECRET, Office

TEXTS = ("làm giấy khai sinh cho con cần gì", "giờ làm việc", "chứng thực bản sao bao nhiêu tiền", "xin chào",
         "H30.99.01-261116-0001", "gặp cán bộ")  # fmt: skip
PHOTO = ""  # of a receipt, in place of a text
WITH_PHOTOS = frozenset({"telegram", "zalo_bot", "web"})


CLOCK_IS_WRONG = 403  # what a signed request of this moment gets where the service believes it is another
SIGNED_WITH_TIME = frozenset({"zalo_oa", "sms"})
IN_A_ROW = ((1, 2, 3, 4), (6, 2, 1, 1))  # messages, and how often


class Citizens:
    """Writes on all channels until told to stop.

    Attributes:
        taken: channel → how many messages the service said it had.
        refused: what the doors answered that asks for another try → how often.
        notified: phones of the dossiers that became ready: each is to get one SMS.
        browsers: visitors of the chat page.
        faults: what must not happen at the doors.
    """

    def __init__(self, office: Office, seed: int, pause: float) -> None:
        self.taken: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.notified: list[str] = []
        self.browsers = Browsers()
        self.faults: list[str] = []
        self._office, self._pause, self._stop = office, pause, threading.Event()
        self._photo = _receipt()
        office.telegram.files["receipt"] = office.zalo_bot.pictures["/receipt.png"] = self._photo
        ways = {"telegram": self._telegram, "zalo_bot": self._zalo_bot, "zalo_oa": self._zalo_oa, "sms": self._sms,
                "web": self._web, "api": self._dossier}  # fmt: skip
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

    def _run(self, name: str, way: Callable[[str, int, int, str], bool], chance: random.Random) -> None:
        number, said = 0, (*TEXTS, PHOTO) if name in WITH_PHOTOS else TEXTS
        while not self._stop.wait(chance.expovariate(1 / self._pause)):
            sender = number + 1
            for _ in range(1 if name == "api" else chance.choices(*IN_A_ROW)[0]):
                number += 1
                call = partial(way, sender=sender, number=number, text=chance.choice(said))
                for _ in range(chance.choices([1, 2], [8, 2])[0]):  # providers repeat themselves
                    self._bring(name, call, chance)
                self.taken[name] += 1
            if name == "web" and chance.random() < 0.5:  # stays on the page until all is answered
                self._bring("web stream", partial(self.browsers.watch, sender=sender, seconds=5), chance)

    def _bring(self, name: str, call: Callable[[str], bool], chance: random.Random) -> None:
        until = time.monotonic() + 180
        while time.monotonic() < until:
            try:
                if call(chance.choice(self._office.replicas).url):
                    return
                self.refused["5xx"] += 1
            except HTTPError as error:
                error.close()
                self._refused(name, error.code)
            except RefusedError as error:
                self._refused(name, error.args[0])
            except (OSError, HTTPException):
                self.refused["no answer"] += 1  # killed just now
            time.sleep(0.2)
        self.faults.append(f"{name}: a message was not taken in 180 s")

    def _refused(self, name: str, status: int) -> None:
        if status == CLOCK_IS_WRONG and name in SIGNED_WITH_TIME and self._office.clocks_were_wrong():
            self.refused["clock"] += 1
        elif status < 500 and status != 429:
            self.faults.append(f"{name}: HTTP {status}")
        else:
            self.refused["5xx"] += 1

    def _telegram(self, base: str, sender: int, number: int, text: str) -> bool:
        size = {"file_id": "receipt", "file_unique_id": "r", "width": 464, "height": 464, "file_size": len(self._photo)}
        update = {"update_id": number, "message": {
            "message_id": number, "date": int(time.time()), **({"text": text} if text else {"photo": [size]}),
            "from": {"id": 10_000 + sender, "is_bot": False, "first_name": "Ba"},
            "chat": {"id": 10_000 + sender, "type": "private", "first_name": "Ba"},
        }}  # fmt: skip
        return self._office.telegram.post(base, update) == 200

    def _zalo_bot(self, base: str, sender: int, number: int, text: str) -> bool:
        photo = {"photo": f"{self._office.zalo_bot.url}/receipt.png", "event": "message.image.received"}
        more = {} if text else photo
        said = self._office.zalo_bot.said(text or None, f"u{sender}", message_id=f"b{number}", **more)
        return 200 in self._office.zalo_bot.deliver(base, said, tries=1)

    def _zalo_oa(self, base: str, sender: int, number: int, text: str) -> bool:
        body = text_event(text, utc_now(), user=f"9{sender}", msg_id=f"o{number}")
        self._office.zalo.last_interaction[f"9{sender}"] = utc_now()
        hooks = self._office.hooks
        hooks.url = f"{base}/webhooks/zalo-oa"
        status = hooks.once(body)
        if status is not None and 400 <= status < 500:
            raise RefusedError(status)
        return status == 200

    def _web(self, base: str, sender: int, number: int, text: str) -> bool:
        return self.browsers.say(base, sender, number, text or self._photo)

    def _sms(self, base: str, sender: int, number: int, text: str) -> bool:
        raw = json.dumps({"id": f"s{number}", "from": f"+84951{sender:06d}", "text": text}).encode()
        at = str(int(time.time()))
        signature = hmac.new(SMS_SECRET.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "x-motcua-timestamp": at, "x-motcua-signature": signature}
        return self._call(Request(f"{base}/webhooks/sms/generic/inbound", raw, headers))  # noqa: S310

    def _dossier(self, base: str, sender: int, number: int, text: str) -> bool:
        del text
        phone = f"+84952{sender:06d}"
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


def _receipt() -> bytes:
    """A photo of a dossier's code, as the office prints it."""
    file = BytesIO()
    qr(TEXTS[4]).resize((464, 464)).convert("RGB").save(file, "PNG")
    return file.getvalue()
