"""The screens of the hall, open to everyone: kiosk, board, survey. No page of theirs shows who anybody is."""
