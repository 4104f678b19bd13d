"""Where the certificates are that this system trusts."""

import os
import ssl
from collections.abc import MutableMapping


def find_roots(environ: MutableMapping[str, str] = os.environ) -> None:
    """Have every TLS library of this process look where Python does, unless the environment names another place.

    The driver's wheel brings an OpenSSL of its own, which looks where it was built. With `sslrootcert=system`, as libpq
    names the authorities of the system, it finds none there, and refuses every server.
    """
    found = ssl.get_default_verify_paths()
    paths = {found.openssl_cafile_env: found.cafile, found.openssl_capath_env: found.capath}
    if not any(variable in environ for variable in paths):  # who names a file does not trust the directory besides
        environ.update({variable: path for variable, path in paths.items() if path is not None})
