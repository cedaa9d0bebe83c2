"""Twilio (SDK 9.13): one request a message, and an honest account of how it ended.

Wire and error codes: reference/channels.md §6.1. Twilio offers no idempotence key,
so a request without an answer is uncertain until its message list was looked at.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from requests.exceptions import ConnectionError as NoConnectionError
from requests.exceptions import ConnectTimeout, ProxyError, RequestException
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from urllib3.exceptions import MaxRetryError, NewConnectionError

from bot.logs import mask
from bot.notices.gateways.base import PermanentError, Sent, Sms, TemporaryError, UncertainError
from bot.settings import Settings

TIMEOUT_SECONDS = 10.0
STATUS_PATH = "/webhooks/sms/twilio/status"
NEWEST = 500  # messages of one number looked through
MAX_VALIDITY = 36_000  # seconds; Twilio's own limit

# Wrong credentials, country not enabled, wrong or unregistered sender, trial account:
# staff can mend these, the citizen cannot.
_ADMIN_CODES = frozenset({20003, 21408, 21603, 21606, 21608, 21612})
_ADMIN_STATUSES = frozenset({401, 403, 404})
_TEMPORARY_STATUSES = frozenset({408, 429})
_TOO_MANY = 20429


class Twilio:
    """Sends through one Twilio account."""

    name = "twilio"
    settle = timedelta(minutes=10)

    def __init__(self, settings: Settings) -> None:
        """Takes the account, the sender and the addresses from the settings (``has_twilio`` must hold)."""
        self._settings = settings

    def send(self, sms: Sms) -> Sent:
        """Asks Twilio to send; never asks twice.

        Raises:
            TemporaryError, PermanentError, UncertainError: see the port.
        """
        settings = self._settings
        fields: dict[str, Any] = {
            "to": sms.to,
            "body": sms.text,
            "validity_period": max(1, min(MAX_VALIDITY, int(sms.valid_for.total_seconds()))),
        }
        if settings.twilio_messaging_service_sid:
            fields["messaging_service_sid"] = settings.twilio_messaging_service_sid
        else:
            fields["from_"] = settings.twilio_from
        if settings.public_base_url:
            fields["status_callback"] = f"{settings.public_base_url}{STATUS_PATH}?notice={sms.notice_id}"
        try:
            with self._client() as client:
                message = client.messages.create(**fields)
        except (TwilioRestException, TwilioServiceException) as error:
            raise _refused(error) from error
        except RequestException as error:
            if _never_left(error):
                raise TemporaryError(f"không kết nối được: {type(error).__name__}") from error
            raise UncertainError(f"không có trả lời: {type(error).__name__}") from error
        except (ValueError, TypeError, AttributeError) as error:
            # An answer of 2xx that is not the JSON it should be: taken, most likely, but under no id we know.
            raise UncertainError("trả lời không đọc được") from error
        if not message.sid:
            raise UncertainError("trả lời không có mã tin")
        return Sent(message.sid, str(message.status))

    def find(self, to: str, text: str, since: datetime) -> list[Sent]:
        """Looks through Twilio's newest messages to this number.

        Not filtered by DateSent: what is still queued there has none.

        Raises:
            TemporaryError: Twilio could not be asked.
        """
        found = []
        try:
            with self._client() as client:
                for message in client.messages.stream(to=to, page_size=100, limit=NEWEST):
                    old = message.date_created is not None and message.date_created < since
                    # A trial account puts a line of its own before the text.
                    if not old and (message.body or "").endswith(text):
                        found.append(Sent(message.sid, str(message.status)))
        except (TwilioException, RequestException, ValueError) as error:
            raise TemporaryError(f"không hỏi được Twilio: {type(error).__name__}") from error
        return found[::-1]

    @contextmanager
    def _client(self) -> Iterator[Client]:
        # A connection of its own for each request: one kept open may have died meanwhile,
        # and then nobody could tell whether the request went out.
        token = self._settings.twilio_auth_token
        http = TwilioHttpClient(timeout=TIMEOUT_SECONDS)
        client = Client(self._settings.twilio_account_sid, token.get_secret_value() if token else "", http_client=http)
        if self._settings.twilio_base_url:
            client.api.base_url = self._settings.twilio_base_url
        try:
            yield client
        finally:
            http.session.close()


def _refused(error: TwilioRestException | TwilioServiceException) -> TemporaryError | PermanentError:
    detail = error.msg if isinstance(error, TwilioRestException) else (error.detail or error.title)
    message = mask(f"{error.code}: {detail}")
    if error.code == _TOO_MANY or error.status in _TEMPORARY_STATUSES or error.status >= 500:
        return TemporaryError(message)
    admin = error.code in _ADMIN_CODES or error.status in _ADMIN_STATUSES or error.status < 400
    return PermanentError(message, admin=admin)


def _never_left(error: RequestException) -> bool:
    """Whether the request certainly never reached Twilio: no connection was made, or no trust in it."""
    if isinstance(error, (ConnectTimeout, ProxyError)):
        return True
    if not isinstance(error, NoConnectionError) or not error.args or not isinstance(error.args[0], MaxRetryError):
        return False
    reason = error.args[0].reason
    if isinstance(reason, NewConnectionError):
        return True
    return bool(reason and reason.args and isinstance(reason.args[0], ssl.SSLCertVerificationError))
