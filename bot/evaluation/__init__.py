"""Measuring the understanding against labelled questions and dialogues."""
