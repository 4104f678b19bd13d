"""The rules of the registry as plain functions of a session and a principal; no HTTP, no wire."""
