"""Requests and answers of `/api/v1`: version numbers are numbers, times RFC 3339 text in UTC, stages exact words."""
