"""The environment variables that `ais` reads, for the help, the man page and the reference."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ENVIRONMENT"]

ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "AIS_ENDPOINT": "store to use: file:///PATH, or a URL",
        "AIS_CONTEXT": "name of a store, see 'ais config context'",
        "AIS_HOME": "directory of the embedded store",
        "AIS_OUTPUT": "default of --output",
        "AIS_NO_INPUT": "1 never asks: a question that cannot be avoided is an error",
        "AIS_CLI_CONFIG_DIR": "directory of the settings; default ~/.config/ais/cli",
        "AIS_CRT": "certificate of this client, for stores on the network that ask for one",
        "AIS_CRT_KEY": "its key",
        "AIS_CLIENT_CA": "certificates of the authorities to trust",
        "AIS_SKIP_VERIFY_CRT": "1 does not check the certificate of the store",
        "AIS_USE_HTTPS": "1 makes https the scheme of an address without one",
        "AIS_CONNECT_TIMEOUT": "seconds to wait for a connection",
        "AIS_READ_TIMEOUT": "seconds to wait for the next byte",
        "AIS_MAX_CONN_POOL": "connections to a store on the network, at most",
        "AIS_AUTHN_URL": "token service",
        "AIS_AUTHN_TOKEN": "token to send",
        "AIS_AUTHN_TOKEN_FILE": "file with the token; default auth.token beside the settings",
        "AIS_LOAD": "off never slows down or refuses because of the load; or grades to go by, memory:high,disk:low",
        "AIS_PAGER": "pages long help on a terminal; else PAGER; empty for neither",
        "AIS_DEBUG": "1 prints the traceback of an error",
        "NO_COLOR": "if set, no colours",
        "FORCE_COLOR": "if set, colours in pipes, too; NO_COLOR and TERM=dumb win over it",
        "TERM": "dumb: no colours and no progress",
        "XDG_CONFIG_HOME": "where completion of fish is installed",
        "XDG_DATA_HOME": "where completion of bash and zsh is installed",
        "SHELL": "whose completion is installed when none is named",
    }
)
"""Variable -> what it does."""
