"""Looking after what the assistant understands: doubtful turns, verdicts, added sentences, a bank of models. No web."""
