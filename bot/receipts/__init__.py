"""What a photographed receipt says: the dossier code in its Code 128 or QR code.

Pure: bytes in, codes or a problem out; nothing is written to disk and no text of the picture is kept. The work is
bounded (bytes, pixels, scans, attempts): some 30 ms for a receipt, a quarter of a second for a photo without a code,
a few seconds for one made to be slow. Call it off the event loop, few at a time, with a limit for each sender.
"""

from bot.receipts.picture import Problem
from bot.receipts.reading import Reading, read_receipt

__all__ = ["Problem", "Reading", "read_receipt"]
