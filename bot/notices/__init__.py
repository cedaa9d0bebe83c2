"""Who is told what, when and how: policy, templates, outbox, gateways."""
