"""What staff change of the files' facts: kept in the database, laid over the files, never written into them."""
