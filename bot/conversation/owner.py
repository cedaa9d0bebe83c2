"""Whose dossier: more than the bare status, and notices of the result, only to someone who proved it theirs. Pure.

The proof is a phone number that the channel itself vouches for, a one-time code sent to the number on file, or the
look-up code printed on the receipt (reference/dossiers_and_rules.md: a code alone opens nothing personal).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import Protocol

from bot.clock import local
from bot.conversation import wording
from bot.conversation.model import Button, DossierDetails, Memory, Outcome, Proof, Reply, Turn
from nlu.codes import find_codes
from nlu.normalize import prepare

CHATS = frozenset({"telegram", "zalo_oa", "zalo_bot"})  # where a message can be pushed days later
_T = wording.T
_DETAILS = re.compile(r"(?:cho )?(?:toi |minh |em )?(?:xem )?chi tiet (?:cua )?(?:ho so|hs)\b.*")
_SUBSCRIBE = re.compile(
    r"bao (?:cho )?(?:toi |minh |em )?(?:biet )?khi (?:co|xong) (?:ket qua|kq)\b.*|bao khi co ket qua\b.*"
)
_SEND_CODE = re.compile(r"(?:gui|nhan|cho|xin)(?: lai)?(?: toi| minh| em)? ma (?:xac nhan|otp|sms)\b.*")
_TELL = re.compile(
    r"(?:bao|nhan)(?: tin)?(?: cho)?(?: toi| minh| em)? (?:(?P<here>o day|vao day)|(?:bang|qua) (?:sms|tin nhan))\b.*"
)
_HERE = re.compile(r"(?:nhan |bao )?(?:o day|vao day|day)")
_BY_SMS = re.compile(r"(?:nhan |bao )?(?:bang |qua )?(?:sms|tin nhan|dien thoai)")
_NEWS = r"(?: tin| tin bao| tin nhan| thong bao)"
_BACK = re.compile(
    rf"(?:toi |minh |em |muon |cho )*(?:bat|nhan|bao)(?: lai{_NEWS}?|{_NEWS} (?:tro )?lai)(?: a| nhe| nha)*"
)
_ME = r"(?:toi|minh|em|tui|con|chau|tao)"
_ERASE = re.compile(
    rf"(?:{_ME} |muon |cho |lam on |xin |hay |yeu cau |de nghi |giup )*(?:xoa|huy) (?:het |toan bo |tat ca |moi |cac )*"
    r"(?:du lieu|thong tin|lich su|tin nhan|doan chat|cuoc tro chuyen)"
    rf"(?: ca nhan| tro chuyen| chat| nhan tin| da luu| da nhan| cua| ve| {_ME}| giup| di| nha| nhe| a| het"
    r"| (?:o|tren|trong) (?:day|nay)| voi| luon| ngay)*"
)
_YES = re.compile(r"(?:dong y|co|xoa|xoa di|xoa het|ok|xac nhan|vang|da|u|uh)(?: xoa)?(?: het)?(?: di| a| nha| nhe)*")
# Without marks "đúng" and "đừng" are one word: it erases nothing.
_NO = re.compile(r"(?:khong|thoi|dung|khoi)(?: khong| xoa| het| nua| dau| roi| a| nha| nhe)*")
_RIGHT = re.compile(r"\s*đúng(?: rồi| vậy| ạ)*\s*[.!]*\s*", re.IGNORECASE)
# "Mã tra cứu là KX-4711 ạ": the words around a code.
_AROUND = (
    r"(?:(?:dạ|vâng|đây|day|mã|ma|tra cứu|tra cuu|xác nhận|xac nhan|otp|của (?:tôi|em|con)|là|la|số|so)\b[\s:.,]*)*"
)
_WITH_WORDS = re.compile(rf"\s*{_AROUND}(?P<code>.*?)(?:[\s.,]+(?:ạ|nha|nhé|đó|a|nhe|do|đây))*[\s.,]*", re.IGNORECASE)
_LATE_CODE = 6  # characters of a code that is taken for one even after a question in between
_SPACED_DIGITS = re.compile(r"\d[\d ]{4,8}\d")
_PROOF_CODE = re.compile(r"(?=.*\d|[A-Z-]+$)[A-Za-z0-9][A-Za-z0-9-]{3,31}")


class Owners(Protocol):
    """What the shell knows of one citizen and the dossiers; each call may count against limits.

    Attributes:
        vouched: whether a phone number shared on this citizen's channel is surely their own.
    """

    vouched: bool

    def exists(self, code: str) -> bool | None:
        """Whether a dossier of this code is on file; None where this citizen has asked too often."""
        ...

    def prove(self, code: str, proof: Proof) -> str:
        """Tries a proof: "opened", "refused", or "limited" where there were too many tries."""
        ...

    def details(self, code: str) -> DossierDetails | None:
        """The details, None where this citizen has not proved the dossier theirs."""
        ...

    def code_allowed(self, code: str) -> bool:
        """Whether one more one-time code may be sent; the same with and without a phone on file."""
        ...


def step(text: str, memory: Memory, owners: Owners, channel: str) -> Turn | None:
    """The turn for a message about ownership, notices or erasure; None where it is about something else."""
    folded = prepare(text).folded
    erasing = _erasing(text, folded, memory)
    if erasing is not None:
        return erasing
    if memory.pending == "erase":
        memory = replace(memory, pending=None)
    if _BACK.fullmatch(folded):
        said = Reply(_T["resubscribed"])
        return _turn("subscribe", Outcome.ACKNOWLEDGED, said, memory, effects=("resubscribe",))
    for pattern, wish in ((_DETAILS, "details"), (_SUBSCRIBE, "subscribe")):
        if pattern.fullmatch(folded):
            return asked(wish, tuple(hit.code for hit in find_codes(text)), memory, owners, channel)
    return _of_open_dossier(text, folded, memory, owners, channel) if memory.dossier else None


def _erasing(text: str, folded: str, memory: Memory) -> Turn | None:
    right = _RIGHT.fullmatch(unicodedata.normalize("NFC", text))
    if memory.pending == "erase" and (_YES.fullmatch(folded) or right):
        return _turn("cancel", Outcome.ACKNOWLEDGED, Reply(_T["erased"]), Memory(greeted=True), effects=("erase",))
    if memory.pending == "erase" and _NO.fullmatch(folded):
        return _turn("deny", Outcome.ACKNOWLEDGED, Reply(_T["erase_kept"]), replace(memory, pending=None))
    if not _ERASE.fullmatch(folded):
        return None
    buttons = tuple(Button(_T["buttons"][key], _T["values"][key]) for key in ("erase", "keep"))
    return _turn(
        "cancel", Outcome.CLARIFY, Reply(_T["erase_ask"], buttons, menu=True), replace(memory, pending="erase")
    )


def _of_open_dossier(text: str, folded: str, memory: Memory, owners: Owners, channel: str) -> Turn | None:
    """What is said about the dossier last looked up, where nothing else can be meant."""
    code = memory.dossier or ""
    if _SEND_CODE.fullmatch(folded):
        return _send_code(code, memory, owners)
    if told := _TELL.fullmatch(folded):
        return _tell(code, memory, owners, channel, here=bool(told["here"]))
    if memory.pending == "where_to_tell" and (_HERE.fullmatch(folded) or _BY_SMS.fullmatch(folded)):
        return _tell(code, memory, owners, channel, here=bool(_HERE.fullmatch(folded)))
    typed = _proof_code(text)
    # A question in between is answered; the code may come after it.
    late = typed and memory.wish and memory.pending is None and len(typed) >= _LATE_CODE and not typed.isalpha()
    if typed and (memory.pending == "proof" or late):
        return _tried(code, Proof("code", typed), memory, owners, channel)
    return None


def contact(phone: str | None, memory: Memory, owners: Owners, channel: str) -> Turn:
    """The turn for a shared contact; ``phone`` only where the channel vouches that it is the sender's own."""
    if phone is None:
        return _turn("out_of_scope", Outcome.CLARIFY, Reply(_T["contact_not_own"]), memory)
    if memory.dossier is None:
        return _turn(
            "dossier_status", Outcome.CLARIFY, Reply(_T["contact_first_code"]), replace(memory, pending="dossier_code")
        )
    return _tried(memory.dossier, Proof("phone", phone), memory, owners, channel)


def unverified_contact(memory: Memory) -> Turn:
    """The turn for a number that the channel doesn't vouch for: it proves nothing, the other ways do."""
    buttons = (Button(_T["buttons"]["send_code"], _T["values"]["send_code"]),) if memory.dossier else ()
    return _turn("out_of_scope", Outcome.CLARIFY, Reply(_T["contact_unverified"], buttons), memory)


def asked(wish: str, codes: tuple[str, ...], memory: Memory, owners: Owners, channel: str) -> Turn:
    """The citizen wants the details or the notices of a dossier: the one named, else the one last asked about."""
    code = codes[0] if codes else memory.dossier
    intent = "subscribe" if wish == "subscribe" else "dossier_status"
    if code is None:
        waiting = replace(memory, pending="dossier_code", wish=wish, misses=0)
        return _turn(
            intent, Outcome.CLARIFY, Reply(_T["subscribe_ask_code" if wish == "subscribe" else "ask_code"]), waiting
        )
    if code != memory.dossier:
        known = owners.exists(code)
        if not known:
            text = _T["status_limited"] if known is None else _T["status_unknown"].format(code=code)
            return _turn(intent, Outcome.STATUS, Reply(text), replace(memory, pending=None), codes=(code,))
    memory = replace(memory, dossier=code, wish=wish, misses=0)
    if owners.details(code) is not None:
        return _opened(code, memory, owners, channel)
    question = proof_question(code, channel, contact=owners.vouched)
    return _turn(intent, Outcome.CLARIFY, question, replace(memory, pending="proof"), codes=(code,))


def proof_question(code: str, channel: str, *, contact: bool) -> Reply:
    """Asks for a proof, in the ways this channel has; ``contact``: sharing one's number is one of them."""
    if channel not in CHATS | {"web", "terminal"}:
        return Reply(_T["proof_sms"].format(code=code))
    text = _T["proof_ask"].format(code=code) + "".join(
        f"\n• {_T['proofs'][way]}" for way in ("lookup", *(("phone",) if contact else ()), "otp")
    )
    button = Button(_T["buttons"]["send_code"], _T["values"]["send_code"])
    return Reply(text, (button,), contact=_T["proof_contact"] if contact else "")


def _proof_code(text: str) -> str | None:
    match = _WITH_WORDS.fullmatch(unicodedata.normalize("NFC", text))
    typed = match["code"] if match else ""
    if _SPACED_DIGITS.fullmatch(typed):
        return typed.replace(" ", "")
    return typed if _PROOF_CODE.fullmatch(typed) and not find_codes(typed) else None


def _tried(code: str, proof: Proof, memory: Memory, owners: Owners, channel: str) -> Turn:
    memory = replace(memory, wish=memory.wish or "details", misses=0)
    match owners.prove(code, proof):
        case "opened":
            return _opened(code, memory, owners, channel)
        case "limited":
            settled = replace(memory, pending=None, wish=None)
            return _turn(
                "dossier_status",
                Outcome.CLARIFY,
                Reply(_T["proof_limited"], (wording.human(),)),
                settled,
                codes=(code,),
            )
    wrong = _T["proof_wrong"] if proof.kind == "code" else _T["proof_phone_wrong"]
    button = Button(_T["buttons"]["send_code"], _T["values"]["send_code"])
    waiting = replace(memory, pending="proof")
    return _turn("dossier_status", Outcome.CLARIFY, Reply(wrong, (button, wording.human())), waiting, codes=(code,))


def _opened(code: str, memory: Memory, owners: Owners, channel: str) -> Turn:
    """Does what the proof was for."""
    details = owners.details(code)
    assert details is not None  # noqa: S101 - the caller has just proved it
    settled = replace(memory, pending=None, wish=None)
    if memory.wish == "subscribe":
        return _where(code, details, settled, channel)
    buttons = () if details.chat else (wording.subscribe_button(code),)
    return _turn("dossier_status", Outcome.STATUS, Reply(details_text(code, details), buttons), settled, codes=(code,))


def _where(code: str, details: DossierDetails, memory: Memory, channel: str) -> Turn:
    if channel not in CHATS:
        return _by_sms(code, details, memory)
    if details.phone is None:
        return _here(code, memory)
    here = Button(_T["buttons"]["here"], _T["values"]["here"])
    sms = Button(_T["buttons"]["sms"], _T["values"]["sms"])
    text = _T["tell_where"].format(code=code, phone=details.phone)
    waiting = replace(memory, pending="where_to_tell")
    return _turn("subscribe", Outcome.CLARIFY, Reply(text, (here, sms), menu=True), waiting, codes=(code,))


def _tell(code: str, memory: Memory, owners: Owners, channel: str, *, here: bool) -> Turn:
    details = owners.details(code)
    if details is None:
        return asked("subscribe", (code,), memory, owners, channel)
    settled = replace(memory, pending=None, wish=None)
    return _here(code, settled) if here and channel in CHATS else _by_sms(code, details, settled)


def _here(code: str, memory: Memory) -> Turn:
    said = Reply(_T["subscribed_here"].format(code=code))
    return _turn("subscribe", Outcome.ACKNOWLEDGED, said, memory, codes=(code,), effects=(f"tell_here:{code}",))


def _by_sms(code: str, details: DossierDetails, memory: Memory) -> Turn:
    if details.phone is None:
        return _turn("subscribe", Outcome.ACKNOWLEDGED, Reply(_T["subscribe_no_phone"]), memory, codes=(code,))
    said = Reply(_T["subscribed_sms"].format(code=code, phone=details.phone))
    return _turn("subscribe", Outcome.ACKNOWLEDGED, said, memory, codes=(code,), effects=(f"tell_sms:{code}",))


def _send_code(code: str, memory: Memory, owners: Owners) -> Turn:
    waiting = replace(memory, pending="proof", wish=memory.wish or "details", misses=0)
    if not owners.code_allowed(code):
        return _turn(
            "dossier_status", Outcome.CLARIFY, Reply(_T["code_limited"], (wording.human(),)), waiting, codes=(code,)
        )
    said = Reply(_T["code_sent"])
    return _turn("dossier_status", Outcome.CLARIFY, said, waiting, codes=(code,), effects=(f"send_code:{code}",))


def details_text(code: str, details: DossierDetails) -> str:
    """What the owner sees besides the status."""
    lines = [_T["details"].format(code=code)]
    if details.procedure:
        lines.append(_T["details_procedure"].format(name=details.procedure))
    if details.received_at:
        lines.append(_T["details_received"].format(at=f"{local(details.received_at):%H:%M %d/%m/%Y}"))
    lines.append(_T["details_note"].format(note=details.note) if details.note else _T["details_no_note"])
    if details.phone:
        lines.append(_T["details_sms" if details.sms else "details_phone"].format(phone=details.phone))
    else:
        lines.append(_T["details_no_phone"])
    if details.chat:
        lines.append(_T["details_chat"])
    return "\n".join(lines)


def _turn(
    intent: str,
    outcome: Outcome,
    reply: Reply,
    memory: Memory,
    *,
    codes: tuple[str, ...] = (),
    effects: tuple[str, ...] = (),
) -> Turn:
    return Turn(
        intent, (), (), codes, outcome, (reply,), memory, confidence=1.0, effects=effects, evidence={"how": "owner"}
    )
