"""The survey after a result was returned: one answer a dossier, by link, kiosk or chat; no web in here."""
