"""Attachments by path from a bucket: the same rules as for a folder, against a server that checks signatures."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.email_jobs import PlainJob, transactional
from tests.support.s3_server import KEY_ID, SECRET, S3Server, s3_server
from tests.support.smtp_server import MailServer, mail_server

from toril.errors import RetryableError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.email import email_queue
from toril.queues.email.providers.smtp import SmtpProvider
from toril.queues.email.providers.smtp_server import SmtpServer
from toril.queues.storage import FileStore, open_file_store

pytest.importorskip("obstore")

A, B = "a" * 24, "b" * 24  #: two firms


@pytest.fixture
async def bucket() -> AsyncIterator[S3Server]:
    async with s3_server() as running:
        yield running


@pytest.fixture
def store(bucket: S3Server) -> FileStore:
    credentials = {"access_key_id": KEY_ID, "secret_access_key": SECRET}
    return open_file_store("s3://papers/prod", endpoint=bucket.url, **credentials)


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


@pytest.fixture
async def queue(store: FileStore, mails: MailServer) -> AsyncIterator[QueueDefinition]:
    provider = SmtpProvider(SmtpServer(host="127.0.0.1", port=mails.port, tls="off"))
    definition = email_queue(provider, from_email="o@mail.example.com", files=store)
    yield definition
    await definition.close()


def job(*paths: str, firm: str = A) -> PlainJob:
    attachments = [{"filename": "فاتورة.pdf", "path": path} for path in paths]
    return PlainJob(transactional(attachments=attachments, firmId=firm))


async def test_a_file_of_the_bucket_goes_out_with_its_own_firms_mail_alone(
    queue: QueueDefinition, store: FileStore, bucket: S3Server, mails: MailServer
) -> None:
    content = b"%PDF" * 50_000
    own = await store.save(firm_id=A, folder="pdf", name="فاتورة 42.pdf", content=content)
    other = await store.save(firm_id=B, folder="pdf", name="b.pdf", content=b"of b")
    empty = await store.save(firm_id=A, folder="pdf", name="empty.pdf", content=b"")
    await queue.process(job(own.path, empty.path))
    parts = [part.get_content() for part in mails.mails[0].message.iter_attachments()]
    assert parts == [content, b""]
    bucket.requests.clear()
    foreign = (
        other.path,
        f"s3://papers/prod/{A}/../{B}/pdf/b.pdf",
        f"s3://elsewhere/prod/{A}/pdf/b.pdf",
        f"s3://papers/{A}/pdf/b.pdf",
        f"s3://papers/prod/{A}/pdf/none.pdf",
        f"{A}/pdf/%2e%2e/{B}/b.pdf",
    )
    for path in foreign:
        with pytest.raises(UnrecoverableError, match=r"no stored file .* of this firm"):
            await queue.process(job(own.path, path))
    assert not [request for request in bucket.requests if request.startswith("GET")], "nothing was read"
    assert len(mails.mails) == 1


async def test_what_is_too_large_is_measured_and_not_read(
    queue: QueueDefinition, store: FileStore, bucket: S3Server, mails: MailServer
) -> None:
    half = await store.save(firm_id=A, folder="exports", name="a.csv", content=bytes(16 * 1024 * 1024))
    bucket.requests.clear()
    with pytest.raises(UnrecoverableError, match=r"attachments: 42\.7 MB in base64"):
        await queue.process(job(half.path, half.path))
    assert [request.partition(" ")[0] for request in bucket.requests] == ["HEAD", "HEAD"]
    assert not mails.mails


async def test_a_bucket_that_is_away_puts_the_mail_off(
    queue: QueueDefinition, store: FileStore, bucket: S3Server, mails: MailServer
) -> None:
    file = await store.save(firm_id=A, folder="pdf", name="a.pdf", content=b"%PDF")
    bucket.failures = [503] * 50
    with pytest.raises(RetryableError):
        await queue.process(job(file.path))
    bucket.failures = []
    await queue.process(job(file.path))
    assert len(mails.mails) == 1
