"""``toril credentials reencrypt``: the last step before a secret that was replaced is removed."""

from __future__ import annotations

from toril.cli.command import Call, command
from toril.cli.db import open_database
from toril.cli.exits import ExitCode
from toril.cli.output import print_json, print_line
from toril.db.repositories.credentials import FirmCredentials

#: Credentials that one transaction changes, so that others who write wait for a moment only.
_AT_ONCE = 100


@command(
    examples="""
    toril credentials reencrypt      with TORIL_SECRET=new… and TORIL_SECRET_PREVIOUS=old… set
    """
)
async def reencrypt_credentials(call: Call) -> int:
    """Encrypt those of all firms by the present TORIL_SECRET.

    Those that one of TORIL_SECRET_PREVIOUS still opens. To replace the secret: set the new one as TORIL_SECRET and the
    old one as TORIL_SECRET_PREVIOUS, for workers and the web application, restart them, and run this. May be run again,
    and while all work. Exits with 1 and names those that no secret opens.
    """
    from toril.queues.sync.access.store import CredentialStore

    store = CredentialStore(call.settings.secrets())
    found, changed, last = 0, 0, None
    closed: list[dict[str, str]] = []
    async with open_database(call) as database:
        while True:
            async with database.session() as session:
                some = await FirmCredentials(session).after(last, limit=_AT_ONCE)
                for each in some:
                    age = store.age(each)
                    if age == "replaced":
                        changed += await store.seal_again(session, each)
                    elif age == "unknown":
                        closed.append({"firmId": each.firm_id, "service": each.service})
            if not some:
                break
            found, last = found + len(some), some[-1]
    if call.json:
        print_json({"found": found, "changed": changed, "unreadable": closed})
    else:
        print_line(f"{changed} of {found} credentials were encrypted again.")
        for one in closed:
            print_line(
                f"Firm {one['firmId']}'s at {one['service']} do not open: stored under a secret that is not set, "
                "or damaged."
            )
    return ExitCode.FAILED if closed else ExitCode.DONE
