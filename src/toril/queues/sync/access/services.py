"""The services at which a firm may have credentials of its own, and what those are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from toril.errors import ConfigurationError, OptionError
from toril.queues.sync.certificates import certificate_of_texts

_LONGEST: Final = 20_000  #: characters of one value
_PEM: Final = frozenset(("certificate", "privateKey"))


@dataclass(frozen=True, slots=True)
class ServiceFields:
    """What credentials of a service are: names as in JSON. Those in ``optional`` go together, or are left out."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


SERVICES: Final = {
    each.name: each
    for each in (
        ServiceFields("stripe", ("secretKey",)),
        ServiceFields("moyasar", ("secretKey",)),
        ServiceFields("hyperpay", ("accessToken", "madaEntityId")),
        ServiceFields("stcpay", ("clientCode", "certificate", "privateKey")),
        ServiceFields("lean", ("clientId", "clientSecret", "appToken"), ("certificate", "privateKey")),
        ServiceFields("sadad", ("clientId", "clientSecret")),
    )
}


def require_service(name: str) -> ServiceFields:
    """The service of this name.

    Raises:
        OptionError: there is none.
    """
    if (found := SERVICES.get(name)) is None:
        raise OptionError(
            f"there is no service {name[:40]!r}; firms have credentials at {', '.join(SERVICES)}"
        )
    return found


async def checked(name: str, values: Mapping[str, object]) -> dict[str, str]:
    """Credentials of a service, if they can be such; nobody is asked whether they are right. No error shows a value.

    Raises:
        OptionError: something is missing, unknown, or cannot be such a value.
    """
    service = require_service(name)
    known = (*service.required, *service.optional)
    if unknown := sorted(values.keys() - set(known)):
        raise OptionError(f"{name} has no {unknown[0][:40]!r}; it takes {', '.join(known)}")
    wanted = known if any(values.get(each) for each in service.optional) else service.required
    if missing := [each for each in wanted if not values.get(each)]:
        raise OptionError(f"{name} needs {' and '.join(missing)} too")
    found = {}
    for each in wanted:
        value = values[each]
        if not isinstance(value, str) or len(value) > _LONGEST or not value.isascii():
            raise OptionError(f"{name}: {each} is none that the service could have given")
        text = value.strip()
        if each not in _PEM and not text.isprintable():
            raise OptionError(f"{name}: {each} is none that the service could have given")
        found[each] = text
    if "certificate" in found:
        try:
            await asyncio.to_thread(certificate_of_texts, found["certificate"], found["privateKey"])
        except ConfigurationError as error:
            raise OptionError(f"{name}: {error}") from None
    return found
