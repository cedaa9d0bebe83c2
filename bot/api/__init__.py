"""HTTP for machines: dossiers, webhooks, health, metrics."""
