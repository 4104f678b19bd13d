"""Why a sealer cannot work."""


class SealerError(Exception):
    """The sealer cannot work; one line that says what to do."""


class StoreError(SealerError):
    """Its directory cannot be used."""
