"""Attachments of single mails, by the processor and a real SMTP server: whose files go out, and which are too large."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob, template, transactional
from tests.support.records import add_firm
from tests.support.smtp_server import MailServer, mail_server

from toril.db.session import Database
from toril.errors import NotConfiguredError, PayloadError, RetryableError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.email import email_queue
from toril.queues.email.database_firms import DatabaseFirms
from toril.queues.email.providers.smtp import SmtpProvider
from toril.queues.email.providers.smtp_server import SmtpServer
from toril.queues.storage import LocalFileStore, StoredFile

MB = 1024 * 1024
A, B = "a" * 24, "b" * 24  #: two firms


class CountingStore(LocalFileStore):
    """Counts the bytes that are read."""

    read_bytes = 0

    async def read(self, path: str) -> bytes:
        content = await super().read(path)
        self.read_bytes += len(content)
        return content

    async def read_part(self, path: str, start: int, length: int) -> bytes:
        content = await super().read_part(path, start, length)
        self.read_bytes += len(content)
        return content


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path / "files")


@asynccontextmanager
async def mailing(
    store: CountingStore | None, database: Database | None = None, **server: Any
) -> AsyncIterator[tuple[QueueDefinition, MailServer]]:
    async with mail_server(**server) as running:
        provider = SmtpProvider(SmtpServer(host="127.0.0.1", port=running.port, tls="off"))
        firms = None if database is None else DatabaseFirms(database)
        definition = email_queue(provider, from_email="o@mail.example.com", files=store, find_firm=firms)
        yield definition, running
        await definition.close()


def job(*files: StoredFile | str, **fields: Any) -> PlainJob:
    attachments = [
        {"filename": "a.pdf", "path": file if isinstance(file, str) else file.path} for file in files
    ]
    return PlainJob(transactional(attachments=attachments, **fields))


async def stored(store: LocalFileStore, firm_id: str, content: bytes = b"%PDF") -> StoredFile:
    return await store.save(firm_id=firm_id, folder="pdf", name="a.pdf", content=content)


async def sparse(store: LocalFileStore, firm_id: str, size: int) -> StoredFile:
    """A file that only says that it is large."""
    file = await stored(store, firm_id)
    with open(file.path, "r+b") as opened:  # noqa: ASYNC230
        opened.truncate(size)
    return file


async def test_a_firms_file_goes_out_with_its_own_mail_and_nobody_elses(store: CountingStore) -> None:
    one, two = await stored(store, A, b"of a"), await stored(store, B, b"of b")
    async with mailing(store) as (queue, server):
        await queue.process(job(one, firmId=A))
        [part] = server.mails[0].message.iter_attachments()
        assert part.get_content() == b"of a"
        for foreign in (job(one, firmId=B), job(two, one, firmId=B), job(one)):
            with pytest.raises(UnrecoverableError) as caught:
                await queue.process(foreign)
            assert "of a" not in str(caught.value)
        assert len(server.mails) == 1
    assert store.read_bytes == len(b"of a")


@pytest.mark.parametrize(
    "path", ["{own}/../{other}/pdf/a.pdf", "{own}/pdf/../../{other}/pdf/a.pdf", "{other}/pdf/a.pdf"]
)
async def test_no_way_of_writing_a_path_leads_to_another_firm(store: CountingStore, path: str) -> None:
    await stored(store, A)
    await stored(store, B)
    async with mailing(store) as (queue, server):
        with pytest.raises(UnrecoverableError, match="no stored file") as caught:
            await queue.process(job(path.format(own=B, other=A), firmId=B))
        assert isinstance(caught.value.__cause__, PayloadError)
        assert caught.value.__cause__.field == "attachments.0.path"
        assert not server.mails


async def test_a_link_in_a_firms_folder_leads_to_nobody_elses_file(store: CountingStore) -> None:
    one, two = await stored(store, A), await stored(store, B)
    link = Path(two.path).with_name("link.pdf")
    link.symlink_to(one.path)
    async with mailing(store) as (queue, _):
        with pytest.raises(UnrecoverableError, match="no stored file"):
            await queue.process(job(str(link), firmId=B))


@pytest.mark.parametrize("path", [f"{B}/pdf/none.pdf", "../../etc/passwd", "/etc/passwd", B])
async def test_what_is_not_there_and_what_is_another_firms_is_answered_alike(
    store: CountingStore, path: str
) -> None:
    await stored(store, B)
    async with mailing(store) as (queue, _):
        with pytest.raises(
            UnrecoverableError, match=r"attachments\.0\.path: there is no stored file .* of this firm"
        ):
            await queue.process(job(path, firmId=B))


async def test_without_a_firm_the_only_one_is_meant_and_with_two_none(
    store: CountingStore, tmp_path: Path
) -> None:
    async with Database(f"sqlite:///{tmp_path / 'records.db'}") as database:
        await database.upgrade()
        async with database.session() as session:
            firm = await add_firm(session)
        own, foreign = await stored(store, firm.id), await stored(store, B)
        async with mailing(store, database) as (queue, server):
            await queue.process(job(own))
            assert len(server.mails) == 1
            with pytest.raises(UnrecoverableError, match="no stored file"):
                await queue.process(job(foreign))
            async with database.session() as session:
                other = await add_firm(session)
            with pytest.raises(UnrecoverableError, match="say by firmId whose mail this is"):
                await queue.process(job(own))
            with pytest.raises(UnrecoverableError, match="no stored file"):
                await queue.process(job(own, firmId=other.id))
            with pytest.raises(UnrecoverableError, match="firmId"):
                await queue.process(job(foreign, firmId=B))
            await queue.process(job(own, firmId=firm.id))
            assert len(server.mails) == 2


async def test_what_is_too_large_is_not_read(store: CountingStore) -> None:
    huge = await sparse(store, A, 4 * 1024 * MB)
    half = await sparse(store, A, 16 * MB)
    async with mailing(store, data_size_limit=100 * MB) as (queue, server):
        with pytest.raises(UnrecoverableError, match=r"attachments: 5461\.3 MB in base64"):
            await queue.process(job(huge, firmId=A))
        with pytest.raises(UnrecoverableError, match=r"attachments: 42\.7 MB in base64"):
            await queue.process(job(half, half, firmId=A))
        assert not server.mails
    assert store.read_bytes == 0


async def test_what_the_mail_server_does_not_take_is_not_read(store: CountingStore) -> None:
    large, small = await sparse(store, A, 3 * MB), await stored(store, A, bytes(MB))
    async with mailing(store, data_size_limit=2 * MB) as (queue, server):
        with pytest.raises(
            UnrecoverableError, match=r"4\.1 MB as they travel; the mail server takes mails of 2\.0 MB"
        ):
            await queue.process(job(large, firmId=A))
        given = base64.b64encode(bytes(2 * MB)).decode()
        with pytest.raises(UnrecoverableError, match="the mail server takes"):
            await queue.process(
                PlainJob(transactional(attachments=[{"filename": "a", "content": given}], firmId=A))
            )
        assert store.read_bytes == 0
        await queue.process(job(small, firmId=A))
        assert len(server.mails) == 1
        assert len(server.connections) == 1  # the one that was asked is the one that sends


async def test_mail_from_a_template_takes_its_own_firms_files_alone(store: CountingStore) -> None:
    one, two = await stored(store, A, b"of a"), await stored(store, B, b"of b")

    def mail(file: StoredFile) -> PlainJob:
        attachments = [{"filename": "a.pdf", "path": file.path}]
        made = template("welcome")
        return PlainJob({**made, "data": {**made["data"], "attachments": attachments, "firmId": A}})

    async with mailing(store) as (queue, server):
        await queue.process(mail(one))
        with pytest.raises(UnrecoverableError, match="no stored file"):
            await queue.process(mail(two))
        assert [len(list(sent.message.iter_attachments())) for sent in server.mails] == [1]


async def test_a_server_that_is_away_puts_a_mail_with_files_off(store: CountingStore) -> None:
    file = await stored(store, A)
    provider = SmtpProvider(SmtpServer(host="127.0.0.1", port=1, tls="off"))
    definition = email_queue(provider, from_email="o@mail.example.com", files=store)
    with pytest.raises(RetryableError):
        await definition.process(job(file, firmId=A))
    await definition.close()
    assert store.read_bytes == 0


async def test_an_empty_file_goes_out_empty(store: CountingStore) -> None:
    file = await stored(store, A, b"")
    async with mailing(store) as (queue, server):
        await queue.process(job(file, firmId=A))
        [part] = server.mails[0].message.iter_attachments()
        assert part.get_content() == b""


async def test_without_a_store_a_path_fails_and_says_what_is_missing() -> None:
    async with mailing(None) as (queue, _):
        with pytest.raises(NotConfiguredError, match=r"attachments\.0\.path: no file store"):
            await queue.process(job(f"{A}/pdf/a.pdf", firmId=A))
