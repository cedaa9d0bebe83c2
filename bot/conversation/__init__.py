"""What is said: understand → decide → reply. Pure: no I/O, no clock, no database."""
