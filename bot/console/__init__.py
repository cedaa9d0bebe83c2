"""The staff's web console and the phone simulator page."""
