"""What a photographed receipt says: the dossier code in its Code 128 or QR code.

Pure: bytes in, codes or a problem out; nothing is written to disk and no text of the picture is kept. The work is
bounded (bytes, pixels, scans, attempts) but takes up to half a second of a core: call it off the event loop.
"""

from bot.receipts.picture import Problem
from bot.receipts.reading import Reading, read_receipt

__all__ = ["Problem", "Reading", "read_receipt"]
