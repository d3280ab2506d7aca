"""The doctor's look at firms' credentials: whether the secrets that are set open them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

from toril.cli.finding import Finding
from toril.errors import TorilError
from toril.settings import Settings

_ABOUT = "TORIL_SECRET"


async def check_credentials(settings: Settings) -> AsyncIterator[Finding]:
    """Whether what firms stored opens, and whether a secret that was replaced is still needed for it."""
    try:
        counts = await _count(settings)
    except (TorilError, ModuleNotFoundError):  # which the look at the database tells
        return
    if counts["unknown"]:
        yield Finding(
            level="wrong",
            about=_ABOUT,
            text=f"{counts['unknown']} of {counts.total()} credentials of firms do not open: they were stored under "
            "another secret, or are damaged",
            hint="add the secret they were stored under to TORIL_SECRET_PREVIOUS; toril credentials reencrypt "
            "names them",
        )
    if counts["replaced"]:
        yield Finding(
            level="warning",
            about="TORIL_SECRET_PREVIOUS",
            text=f"{counts['replaced']} of {counts.total()} credentials of firms are encrypted by a replaced secret",
            hint="run toril credentials reencrypt before you remove that secret",
        )
    elif settings.secret_previous and not counts["unknown"]:
        yield Finding(
            level="note",
            about="TORIL_SECRET_PREVIOUS",
            text="set; firms' credentials do not need it",
            hint="remove it when links in mail and sign-ins from before the change may end",
        )


async def _count(settings: Settings) -> Counter[str]:
    """How many credentials open by the present secret, by a replaced one, and by none."""
    from toril.db.repositories.credentials import FirmCredentials
    from toril.db.session import Database
    from toril.queues.sync.access.store import CredentialStore

    counts: Counter[str] = Counter()
    async with Database(settings.database_url, home=settings.home) as database:
        if not (await database.schema_version()).is_current:
            return counts
        # A secret that is not there yet is made by those who need one, not by who looks.
        is_there = settings.secret is not None or (settings.home / "secret").exists()
        store, last = CredentialStore(settings.secrets()) if is_there else None, None
        while True:
            async with database.reading() as session:
                some = await FirmCredentials(session).after(last, limit=500)
            counts.update(store.age(each) if store else "unknown" for each in some)
            if not some:
                return counts
            last = some[-1]
