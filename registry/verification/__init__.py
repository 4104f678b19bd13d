"""Verifying the database: the log whole, sealed as signed, and the tables saying what it says."""
