"""Who somebody is according to an issuer outside: bearer JWTs of OpenID Connect, verified with the issuer's keys.

`issuers` says whom we believe and about what, `fetching` gets documents from them, `keys` keeps what they sign with,
`verifying` takes a token apart. What a caller may do is none of their business: it follows from grants, as for tokens.
"""
