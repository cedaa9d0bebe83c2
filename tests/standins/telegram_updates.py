"""What citizens do on Telegram: each gives the update that tells of it, in the shapes of the Bot API."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from standins.telegram_limits import utf16

BOT = {"id": 123456789, "is_bot": True, "first_name": "Một Cửa", "username": "motcua_bot"}
CITIZEN = 77


class Updates:
    """Makes updates; numbers of updates and messages come from one count.

    Attributes:
        files: file id → content, for getFile.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._queries: set[str] = set()
        self._numbers = count(1)

    def message(self, sender: int = CITIZEN, chat_type: str = "private", **content: Any) -> dict[str, Any]:
        """A message of any content."""
        number = next(self._numbers)
        chat = {"id": sender if chat_type == "private" else -sender, "type": chat_type, "first_name": "Ba"}
        told = {"message_id": number, "date": 1764000000 + number, "from": person(sender), "chat": chat, **content}
        return {"update_id": number, "message": told}

    def text(self, text: str, sender: int = CITIZEN) -> dict[str, Any]:
        """A text."""
        command = re.match(r"/\w+(@\w+)?", text)
        entities = [{"type": "bot_command", "offset": 0, "length": utf16(command[0])}] if command else []
        return self.message(sender, text=text, **({"entities": entities} if entities else {}))

    def contact(self, phone: str, owner: int | None = CITIZEN, sender: int = CITIZEN) -> dict[str, Any]:
        """A shared contact; ``owner``: the user it belongs to."""
        told = {"phone_number": phone, "first_name": "Ba"} | ({"user_id": owner} if owner is not None else {})
        return self.message(sender, contact=told)

    def photo(self, content: bytes, sender: int = CITIZEN, **more: Any) -> dict[str, Any]:
        """A photo in three sizes; only the largest holds the content."""
        number = next(self._numbers)
        sizes = []
        for name, edge in (("s", 90), ("m", 320), ("x", 1280)):
            file_id = f"photo-{number}-{name}"
            self.files[file_id] = content if name == "x" else b"small"
            told = {"file_id": file_id, "file_unique_id": f"u{file_id}", "width": edge, "height": edge}
            sizes.append(told | {"file_size": len(self.files[file_id])})
        return self.message(sender, photo=sizes, **more)

    def tap(self, sent: dict[str, Any], label: str, sender: int = CITIZEN) -> dict[str, Any]:
        """A tap on a button of a message that was sent."""
        value = next(b["callback_data"] for row in sent["inline"] for b in row if b["text"] == label)
        number = next(self._numbers)
        query = f"9{number:017d}"
        self._queries.add(query)
        message = {"message_id": sent["message_id"], "date": 1764000000, "chat": sent["chat"], "text": sent["text"]}
        told = {"id": query, "from": person(sender), "message": message, "chat_instance": "1", "data": value}
        return {"update_id": number, "callback_query": told}

    def membership(self, status: str, sender: int = CITIZEN) -> dict[str, Any]:
        """The citizen blocks ("kicked") or unblocks ("member") the bot."""
        number = next(self._numbers)
        member: dict[str, Any] = {"user": BOT, "status": status} | ({"until_date": 0} if status == "kicked" else {})
        old = {"user": BOT, "status": "member"}
        chat = {"id": sender, "type": "private", "first_name": "Ba"}
        told = {"chat": chat, "from": person(sender), "date": 1764000000, "old_chat_member": old}
        return {"update_id": number, "my_chat_member": told | {"new_chat_member": member}}


def person(number: int) -> dict[str, Any]:
    return {"id": number, "is_bot": False, "first_name": "Ba", "language_code": "vi"}
