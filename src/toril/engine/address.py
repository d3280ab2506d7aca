"""From a URL to the address of a server."""

from __future__ import annotations

import re
import ssl
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from toril.engine.link import Address
from toril.engine.sentinel import SCHEMES, read_sentinel_url
from toril.errors import OptionError

_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def parse_address(url: str, password: str | None = None) -> Address:
    """Read ``redis://``, ``rediss://`` (TLS), ``unix://`` or ``redis+sentinel://`` URLs.

    Args:
        url: as redis-py reads it: user, password, host, port and database; for TLS also the query parameters
            ``ssl_cert_reqs`` (none, optional, required), ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``.
            With ``redis+sentinel://`` (``rediss+sentinel://`` for TLS) the hosts of one or more sentinels with
            commas between, and the service's name before the database; see ``sentinel``.
        password: used when the URL has none.

    Raises:
        OptionError: the URL cannot be read.
    """
    from redis.asyncio.connection import parse_url  # here: it takes most of what importing Toril would take

    try:
        split = urlsplit(url)
        if split.scheme in SCHEMES:
            return _sentinel_address(split, password)
        parts: dict[str, Any] = dict(parse_url(url))
        database = split.path.strip("/")
        if database and not database.isdigit() and not parts.get("path"):  # redis-py would take it for 0
            raise ValueError(f"database {database!r} is not a number")
        tls = _tls_context(parts) if url.startswith("rediss://") else None
        return Address(
            host=parts.get("host") or "localhost",
            port=int(parts.get("port") or 6379),
            path=parts.get("path"),
            db=int(parts.get("db") or 0),
            username=parts.get("username"),
            password=parts.get("password") or password,
            tls=tls,
            connect_timeout=float(parts.get("socket_connect_timeout") or 5.0),
        )
    except (ValueError, TypeError, OSError, KeyError) as error:
        shown = re.sub(r"password=[^&]*", "password=***", re.sub(r"//[^@/]*@", "//***@", url))
        raise OptionError(
            f"server URL {shown!r} cannot be used ({error}); write redis://[user:password@]host:port/db, "
            "rediss://… for TLS, unix:///path/to/socket?db=0, or redis+sentinel://host:port,host:port/service/db"
        ) from error


def _sentinel_address(url: SplitResult, password: str | None) -> Address:
    query: dict[str, Any] = dict(parse_qsl(url.query))
    found = read_sentinel_url(url, query)
    return Address(
        **{**found, "password": found["password"] or password},
        tls=_tls_context(query) if url.scheme.startswith("rediss") else None,
        connect_timeout=float(query.get("socket_connect_timeout") or 5.0),
    )


def _tls_context(parts: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=parts.get("ssl_ca_certs"))
    verify = str(parts.get("ssl_cert_reqs", "required"))
    if verify != "required" or str(parts.get("ssl_check_hostname", "true")).lower() in ("false", "0", "no"):
        context.check_hostname = False
    context.verify_mode = _VERIFY[verify]
    if parts.get("ssl_certfile"):
        context.load_cert_chain(parts["ssl_certfile"], parts.get("ssl_keyfile"))
    return context
