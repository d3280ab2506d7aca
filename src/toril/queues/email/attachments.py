"""Files that go with a mail: whose they are, how large they are, and only then what is in them."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence

from toril.errors import NotConfiguredError, OptionError, PayloadError
from toril.queues.email.mailer import Mailer
from toril.queues.email.message import MailAttachment
from toril.queues.email.payloads import MAX_ATTACHMENTS, Attachment, too_large
from toril.queues.storage import FileStore


async def read_attachments(
    mailer: Mailer, given: Sequence[Attachment], *, firm_id: str | None
) -> tuple[MailAttachment, ...]:
    """The attachments of one mail, with their bytes.

    A stored file goes out for the firm it was stored for alone, which its place in the store tells. Nothing is read
    before it is known that all of it together is not too large, for us and for the provider.

    Args:
        firm_id: whose mail it is, as its job says; else the only firm of the installation.

    Raises:
        PayloadError: a stored file does not exist or is not the firm's, it is not known whose mail it is, or the
            attachments are too large together.
        NotConfiguredError: an attachment is given by path, and there is no file store.
        RetryableError: the provider cannot be asked now how much it takes.
    """
    if not given:
        return ()
    sizes = await _sizes(mailer, given, firm_id)
    total = sum(_as_base64(size) for size in sizes)
    if total > MAX_ATTACHMENTS:
        raise PayloadError(f"attachments: {too_large(total)}", field="attachments")
    limit = await mailer.size_limit()
    lines = total // 76 * 78  # as a message has them, with the ends of the lines
    if limit is not None and lines > limit:
        raise PayloadError(
            f"attachments: {lines / 1048576:.1f} MB as they travel; "
            f"the mail server takes mails of {limit / 1048576:.1f} MB",
            field="attachments",
        )
    return tuple(
        [
            _attached(one, await _content(mailer.files, one, index, size))
            for index, (one, size) in enumerate(zip(given, sizes, strict=True))
        ]
    )


async def _sizes(mailer: Mailer, given: Sequence[Attachment], firm_id: str | None) -> list[int]:
    """The bytes of each; files are looked at and not read."""
    owner: str | None = None
    if any(one.path is not None for one in given):
        firm = await mailer.firm(firm_id)
        owner = None if firm is None else firm.id
    sizes: list[int] = []
    for index, one in enumerate(given):
        if one.path is None:
            sizes.append(len(one.content or "") * 3 // 4)
            continue
        field = f"attachments.{index}.path"
        if mailer.files is None:
            raise NotConfiguredError(
                f"{field}: no file store is configured; give the file as content, in base64"
            )
        if owner is None:
            raise PayloadError(
                f"{field}: stored files are their firm's: say by firmId whose mail this is", field=field
            )
        try:
            if mailer.files.firm_of(one.path) != owner:
                # As of a file that is not there: which files others have is nobody's business.
                raise OptionError("another firm's, or outside of the store")
            sizes.append(await mailer.files.size(one.path))
        except OptionError as error:
            raise _missing(one, index) from error
    return sizes


async def _content(files: FileStore | None, one: Attachment, index: int, size: int) -> bytes:
    if one.path is None or files is None:
        return base64.b64decode(one.content or "")
    if size == 0:
        return b""
    try:
        # No more than was looked at, whatever has happened to it since.
        return await files.read_part(one.path, 0, size)
    except OptionError as error:
        raise _missing(one, index) from error


def _attached(one: Attachment, content: bytes) -> MailAttachment:
    content_type = one.content_type or mimetypes.guess_type(one.filename)[0]
    return MailAttachment(
        filename=one.filename,
        content=content,
        content_type=content_type or "application/octet-stream",
        content_id=one.content_id,
    )


def _missing(one: Attachment, index: int) -> PayloadError:
    field = f"attachments.{index}.path"
    return PayloadError(
        f"{field}: there is no stored file {(one.path or '')[:500]!r} of this firm", field=field
    )


def _as_base64(size: int) -> int:
    return (size + 2) // 3 * 4
