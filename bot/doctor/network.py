"""What lies outside: the public address, web hooks, the channels' own word on our tokens, Rasa."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx

from bot.doctor.finding import Deployment, Finding, State
from bot.doctor.machine import is_ours
from bot.office_accounts import key
from bot.settings import Engine, Settings, SmsGateway

_MANY_PENDING = 100
_NOT_THERE = frozenset({404, 405, 301, 302, 307, 308})


def public_address(deployment: Deployment) -> Iterator[Finding]:
    """Our service is what answers at PUBLIC_BASE_URL, with a certificate that holds."""
    base, name = deployment.settings.public_base_url, "Địa chỉ công khai"
    if base is None:
        told = "chưa đặt PUBLIC_BASE_URL; trang hỏi đáp trong mạng, Telegram, Zalo Bot và gửi SMS vẫn chạy"
        yield Finding(name, State.OK, told)
        return
    if not base.startswith("https://"):
        yield Finding(name, State.BAD, f"{base} không phải https", "đặt địa chỉ https://; xem docs/deploy.md")
        return
    try:
        answer = deployment.ask("GET", f"{base}/health", "địa chỉ công khai")
    except httpx.HTTPError as error:
        told = f"{base}: {'chứng chỉ không đúng' if 'CERTIFICATE' in str(error) else type(error).__name__}"
        yield Finding(name, State.BAD, told, "kiểm tra tên miền, máy chủ TLS đứng trước và tường lửa")
        return
    if not is_ours(answer):
        told = f"{base}/health trả lời {answer.status_code}, không phải từ dịch vụ này"
        yield Finding(name, State.BAD, told, "cho máy chủ đứng trước chuyển mọi đường dẫn đến PORT")
        return
    yield Finding(name, State.OK, f"{base}: đến được")
    if not deployment.settings.trusted_proxies:
        told = "chưa đặt MOTCUA_TRUSTED_PROXIES: mọi người dân như đến từ một địa chỉ, và dùng chung một hạn mức"
        yield Finding(name, State.NOTE, told, "đặt MOTCUA_TRUSTED_PROXIES là địa chỉ của máy chủ đứng trước")
    if deployment.ask("GET", f"{base}/metrics", "địa chỉ công khai").status_code == 200:
        yield Finding(name, State.NOTE, "/metrics mở cho cả mạng", "chặn /metrics ở máy chủ đứng trước")


def web_hooks(deployment: Deployment) -> Iterator[Finding]:
    """Each web hook is there: an unsigned call is refused, not unknown."""
    settings = deployment.settings
    if not (settings.public_base_url or "").startswith("https://"):
        if settings.has_zalo_oa:
            yield Finding("Web hook", State.BAD, "Zalo OA cần địa chỉ công khai", "đặt PUBLIC_BASE_URL=https://…")
        return
    bots = {"/webhooks/telegram": "telegram_token", "/webhooks/zalo-bot": "zalo_bot_token"}
    paths = [key(path, account) for path, field in bots.items() for account in settings.accounts(field)]
    paths += ["/webhooks/zalo-oa"] * settings.has_zalo_oa + ["/webhooks/sms/twilio/status"] * settings.uses_twilio
    for path in paths:
        url = f"{settings.public_base_url}{path}"
        try:
            status = deployment.ask("POST", url, "địa chỉ công khai", json={}).status_code
        except httpx.HTTPError as error:
            yield Finding("Web hook", State.BAD, f"{path}: {type(error).__name__}", "xem mục Địa chỉ công khai")
            continue
        if status in _NOT_THERE or status >= 500:
            yield Finding(
                "Web hook", State.BAD, f"{path}: trả lời {status}", "khởi động lại dịch vụ với cùng cấu hình này"
            )
        else:
            yield Finding("Web hook", State.OK, f"{path}: đến được")


def telegram(deployment: Deployment) -> Iterator[Finding]:
    """Of each bot: the token is good; Telegram calls the address that we expect, without faults."""
    for account in deployment.settings.accounts("telegram_token"):
        yield _telegram(deployment, account)


def _telegram(deployment: Deployment, account: str | None) -> Finding:
    settings, name = deployment.settings.at(account), f"Telegram {account}" if account else "Telegram"
    token = settings.telegram_token.get_secret_value() if settings.telegram_token else ""
    base = f"{settings.telegram_base_url}/bot{token}"
    me = _told(deployment, f"{base}/getMe", name)
    if isinstance(me, Finding):
        return me
    hook = _told(deployment, f"{base}/getWebhookInfo", name)
    if isinstance(hook, Finding):
        return hook
    who, url, public = f"@{me.get('username', '?')}", str(hook.get("url") or ""), settings.public_base_url or ""
    wanted = f"{public}{key('/webhooks/telegram', account)}" if public.startswith("https://") else ""
    if url != wanted:
        told = f"{who}: web hook là «{url or 'không có'}», cần «{wanted or 'không có'}»"
        return Finding(name, State.BAD, told, "khởi động lại dịch vụ; nếu còn thì có nơi khác dùng cùng TELEGRAM_TOKEN")
    if hook.get("last_error_message") and hook.get("pending_update_count"):
        told = f"{who}: Telegram không gọi được ({hook['last_error_message']}), {hook['pending_update_count']} tin chờ"
        return Finding(name, State.BAD, told, "xem mục Địa chỉ công khai")
    if int(hook.get("pending_update_count") or 0) > _MANY_PENDING:
        told = f"{who}: {hook['pending_update_count']} tin chờ"
        return Finding(name, State.NOTE, told, "dịch vụ có đang chạy không?")
    return Finding(name, State.OK, f"{who}, {'web hook' if url else 'tự hỏi tin'}")


def zalo_bot(deployment: Deployment) -> Iterator[Finding]:
    """The token of each bot is good."""
    for account in deployment.settings.accounts("zalo_bot_token"):
        yield _zalo_bot(deployment, account)


def _zalo_bot(deployment: Deployment, account: str | None) -> Finding:
    settings, name = deployment.settings.at(account), f"Zalo Bot {account}" if account else "Zalo Bot"
    token = settings.zalo_bot_token.get_secret_value() if settings.zalo_bot_token else ""
    me = _told(deployment, f"{settings.zalo_bot_base_url}/bot{token}/getMe", name)
    return (
        me if isinstance(me, Finding) else Finding(name, State.OK, str(me.get("account_name") or me.get("id") or "?"))
    )


def _told(deployment: Deployment, url: str, name: str) -> dict[str, Any] | Finding:
    """The ``result`` of a call, or why there is none; the address holds the token and is never repeated."""
    try:
        answer = deployment.ask("POST", url, name)
        body = answer.json()
    except httpx.HTTPError as error:
        return Finding(
            name, State.BAD, f"không nối được ({type(error).__name__})", "kiểm tra mạng và tường lửa ra ngoài"
        )
    except ValueError:
        return Finding(name, State.BAD, "câu trả lời lạ", f"kiểm tra địa chỉ {name} trong cấu hình")
    if isinstance(body, dict) and body.get("ok") is True and isinstance(body.get("result"), dict):
        result: dict[str, Any] = body["result"]
        return result
    if answer.status_code in {401, 403, 404}:
        return Finding(name, State.BAD, "token bị từ chối", "lấy token mới")
    return Finding(name, State.BAD, f"trả lời {answer.status_code}", "thử lại sau ít phút")


def sms(deployment: Deployment) -> Iterator[Finding]:
    """Where SMS go, and that the account is let in."""
    settings, name = deployment.settings, "SMS"
    if settings.sms_goes_through is SmsGateway.SIMULATOR:
        state = State.OK if settings.demo else State.NOTE
        yield Finding(
            name, state, "vào điện thoại giả lập", "" if settings.demo else "đặt TWILIO_* hoặc ESMS_* để gửi thật"
        )
    elif settings.sms_goes_through is SmsGateway.TWILIO:
        yield _twilio(deployment, settings)
    else:
        sandbox = ", chế độ thử (ESMS_SANDBOX)" if settings.esms_sandbox else ""
        yield Finding(name, State.OK, f"qua eSMS, tên người gửi {settings.esms_brandname}{sandbox}")
    if own := own_senders(settings):
        yield Finding(name, State.OK, f"người gửi riêng: {', '.join(own)}")


def own_senders(settings: Settings) -> list[str]:
    """What SMS of the offices with a sender of their own leave from: "dong-phuoc +842810…"."""
    fields = {
        SmsGateway.TWILIO: ("twilio_messaging_service_sid", "twilio_from"), SmsGateway.ESMS: ("esms_brandname",)
    }.get(settings.sms_goes_through, ())  # fmt: skip
    offices = dict.fromkeys(slug for field in fields for slug in settings.owners(field))
    found = [(slug, next(filter(None, (getattr(settings.at(slug), field) for field in fields)))) for slug in offices]
    return [f"{slug} {sender}" for slug, sender in found]


def _twilio(deployment: Deployment, settings: Settings) -> Finding:
    sid = settings.twilio_account_sid or ""
    token = settings.twilio_auth_token.get_secret_value() if settings.twilio_auth_token else ""
    sent = {"authorization": "Basic " + base64.b64encode(f"{sid}:{token}".encode()).decode()}
    base = settings.twilio_base_url or "https://api.twilio.com"
    try:
        answer = deployment.ask("GET", f"{base}/2010-04-01/Accounts/{sid}.json", "Twilio", headers=sent)
    except httpx.HTTPError as error:
        return Finding("SMS", State.BAD, f"không nối được Twilio ({type(error).__name__})", "kiểm tra mạng ra ngoài")
    if answer.status_code != 200:
        return Finding(
            "SMS", State.BAD, f"Twilio trả lời {answer.status_code}", "kiểm tra TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN"
        )
    status = answer.json().get("status")
    if status != "active":
        return Finding("SMS", State.BAD, f"tài khoản Twilio: {status}", "mở lại tài khoản trong trang của Twilio")
    return Finding("SMS", State.OK, "qua Twilio, tài khoản dùng được")


def rasa(deployment: Deployment) -> Iterator[Finding]:
    """Where Rasa reads messages: it answers, and was trained on this catalogue."""
    from bot.application import open_desk  # noqa: PLC0415
    from nlu.entries import fingerprint  # noqa: PLC0415
    from nlu.rasa import RasaError, read_answer  # noqa: PLC0415

    settings, name = deployment.settings, "Rasa"
    if settings.chosen_engine is not Engine.RASA:
        return
    stand_in = "bộ hiểu có sẵn trả lời thay"
    try:
        answer = deployment.ask("POST", f"{settings.rasa_url}/model/parse", name, json={"text": "xin chào"})
        found = read_answer(answer.content)
    except httpx.HTTPError as error:
        yield Finding(name, State.BAD, f"{settings.rasa_url}: {type(error).__name__}; {stand_in}", "chạy make rasa")
        return
    except RasaError as error:
        yield Finding(name, State.BAD, f"{settings.rasa_url}: {error}; {stand_in}", "xem nhật ký của Rasa")
        return
    if found.catalogue != fingerprint(open_desk(settings).catalog.entries()):
        yield Finding(name, State.BAD, f"học từ dữ liệu thủ tục khác; {stand_in}", "chạy lại make rasa")
    else:
        yield Finding(name, State.OK, f"{settings.rasa_url}, học đúng dữ liệu thủ tục này")
