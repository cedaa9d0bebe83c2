"""The Zalo Official Account of the office.

A thin client of our own over httpx (reference/channels.md §1): ``tokens`` keeps the pair that rotates, ``client`` makes
the calls, ``errors`` says what each error code means, ``events`` reads web hooks, ``channel`` puts them together.
"""
