"""What an SMS says: the command words printed on receipts and posters, and messages that no person wrote. Pure.

People type them without marks, in any case, with blanks and full stops where they don't belong. What is no command is
left as it is, for the conversation to understand.
"""

from __future__ import annotations

import re
import unicodedata

from nlu.codes import find_codes, near_misses

STATUS, STOP, START, HELP = "tra cứu hồ sơ", "ngừng nhận tin", "nhận tin lại", "trợ giúp"

_WORDS = {
    # The English ones are those that Twilio itself takes for a refusal, with or without OptOutType.
    **dict.fromkeys(("huy", "tu choi", "stop", "stop all", "stopall", "unsubscribe", "cancel", "end", "quit"), STOP),
    **dict.fromkeys(("nhan tin", "nhan tin lai", "start", "unstop"), START),
    **dict.fromkeys(("tro giup", "help"), HELP),
    **dict.fromkeys(("tra cuu", "tra cuu ho so", "tra cuu hs", "hs"), STATUS),
}
_OPT_OUT = {"STOP": STOP, "START": START, "HELP": HELP}
_LOOK_UP = re.compile(r"\W*(?:tra\W*cuu(?:\W+(?:ho\W+so|hs))?|hs)\b\W*", re.ASCII)

_ASKS = r"(?!\ (?:a|ha|hay|phai|khong|dung|sao|vay|the|roi)\b)"  # then a person asks about it
_AUTOMATIC = re.compile(
    rf"""
      \bday\ la\ (?:tin\ nhan|tin|thu|phan\ hoi|tra\ loi|cau\ tra\ loi)(?:\ \w+){{0,2}}\ tu\ dong\b{_ASKS}
    | ^(?:tin\ nhan|tin|tra\ loi|phan\ hoi|thong\ bao)\ tu\ dong\b{_ASKS}
    | ^tu\ dong\ (?:tra\ loi|phan\ hoi|gui)\b{_ASKS}
    | \b(?:khong|dung)\ (?:tra\ loi|phan\ hoi|nhan)(?:\ lai)?(?:\ (?:vao|toi|den))?
      \ (?:tin\ nhan|tin|so)(?:\ \w+)?\ nay\b
    | \btoi\ dang\ (?:lai\ xe|ban|hop|di\ vang)\b.*\btoi\ se\ (?:goi|lien\ lac|lien\ he|tra\ loi|phan\ hoi|nhan)\b
    | \bauto\ ?(?:reply|response|responder|respond)\b
    | \bautomat(?:ic|ed)\ (?:reply|response|message|answer)\b
    | \b(?:do\ not|don\ t)\ reply\b
    | \bout\ of\ (?:the\ )?office\b
    | \bi\ (?:m|am)\ driving\b
    """,
    re.VERBOSE | re.ASCII,
)
_READ = 1000  # characters in which it would show
_NUMBER = re.compile(r"\+[1-9]\d{7,14}", re.ASCII)


def text_of(raw: str, opt_out: str = "") -> str:
    """What an SMS asks for, in words that the conversation knows.

    Args:
        raw: the message as it came.
        opt_out: Twilio's ``OptOutType`` ("STOP", "START", "HELP"), where it has recognised one.

    Returns:
        ``STATUS`` and what stands behind the command word, ``STOP``, ``START``, ``HELP``, or ``raw`` unchanged.
    """
    if (known := _OPT_OUT.get(opt_out.strip().upper())) is not None:
        return known
    text = unicodedata.normalize("NFKC", raw)
    folded = _folded(text)
    if (command := _WORDS.get(" ".join(_words(folded)))) is not None:
        return command
    if (match := _LOOK_UP.match(folded)) is not None:
        rest = text[match.end() :].strip()
        if find_codes(rest) or near_misses(rest):
            return f"{STATUS} {rest}"
    return raw


def is_auto_reply(text: str) -> bool:
    """Whether a machine wrote this ("Day la tin nhan tu dong…"): an answer to it might be answered for ever."""
    if "?" in text:
        return False  # machines ask nothing
    words = _words(_folded(unicodedata.normalize("NFKC", text[:_READ])))
    return _AUTOMATIC.search(" ".join(words)) is not None


def is_answerable(sender: str) -> bool:
    """Whether a sender is a telephone (E.164), not a short code or a brand name: those belong to machines."""
    return _NUMBER.fullmatch(sender) is not None


def _folded(text: str) -> str:
    """The text in small letters without marks, of the same length, so that places in one are places in the other."""
    return "".join(_letter(char) for char in text)


def _letter(char: str) -> str:
    low = "d" if char in "đĐ" else unicodedata.normalize("NFD", char)[0].lower()
    return low if len(low) == 1 else char


def _words(folded: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", folded)
