"""A whole registry as one file: `registry export` writes a bundle, `registry import` brings one into an empty registry.

A bundle is JSON lines. The first line says what it is, of which schema, and how much is in it; then comes one line for
each row of each table that holds state (sections.py), the audit log last; the last line has the number of lines before
it and the SHA-256 of all of them. There is one way to write each line, the one in which `json.dumps` writes it without
spaces, so that nothing can be changed that two readers would understand differently.

Both commands work on the database: what a bundle holds is more than any token may read, and an import fills the audit
log, which only whoever could also remove its guards may do (loading.py).
"""
