"""The catalogue of procedures: schema, loading, checking, deadlines."""
