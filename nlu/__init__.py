"""Understanding what citizens type: one port, two engines (embedded, Rasa)."""
