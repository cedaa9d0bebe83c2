"""Outside message ⇄ Incoming / Reply, one module a channel."""
