"""Tables, sessions, the durable queue, migrations."""
