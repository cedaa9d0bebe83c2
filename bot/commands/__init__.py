"""The subcommands of motcua, one module a subject."""
