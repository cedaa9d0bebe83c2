"""Một Cửa: the assistant of a commune's one-stop office."""
