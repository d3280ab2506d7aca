"""Files in a bucket, against a server that checks signatures and conditions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.pdf_jobs import FIRM, PlainJob, invoice_job, text_of
from tests.support.s3_server import KEY_ID, SECRET, S3Server, s3_server

from toril.errors import NotConfiguredError, OptionError, RetryableError
from toril.queues.pdf import pdf_queue
from toril.queues.storage import FileStore, LocalFileStore, open_file_store

pytest.importorskip("obstore")


@pytest.fixture
async def server() -> AsyncIterator[S3Server]:
    async with s3_server() as running:
        yield running


def store(server: S3Server, location: str = "s3://papers/prod", **changes: Any) -> FileStore:
    options = {"endpoint": server.url, "access_key_id": KEY_ID, "secret_access_key": SECRET} | changes
    return open_file_store(location, **options)


async def test_what_is_saved_is_read_again(server: S3Server) -> None:
    kept = store(server)

    file = await kept.save(firm_id="f1", folder="pdf", name="فاتورة 42.pdf", content=b"%PDF" * 1000)

    assert (file.name, file.size) == ("فاتورة-42.pdf", 4000)
    assert file.path == "s3://papers/prod/f1/pdf/فاتورة-42.pdf"
    assert await kept.read(file.path) == b"%PDF" * 1000
    assert server.types == {"/papers/prod/f1/pdf/فاتورة-42.pdf": "application/pdf"}


async def test_without_a_prefix_firms_stand_at_the_top(server: S3Server) -> None:
    file = await store(server, "s3://papers").save(firm_id="f1", folder="pdf", name="a.pdf", content=b"a")

    assert file.path == "s3://papers/f1/pdf/a.pdf"
    assert list(server.objects) == ["/papers/f1/pdf/a.pdf"]


@pytest.mark.parametrize("knows_conditions", [True, False])
async def test_a_name_that_is_taken_gets_a_suffix(server: S3Server, knows_conditions: bool) -> None:
    server.knows_conditions = knows_conditions
    kept = store(server)

    files = [
        await kept.save(firm_id="f1", folder="pdf", name="a.pdf", content=content) for content in (b"1", b"2")
    ]

    assert [await kept.read(file.path) for file in files] == [b"1", b"2"]
    assert files[0].name == "a.pdf"
    assert files[1].name.startswith("a-")
    assert files[1].name.endswith(".pdf")


async def test_two_at_once_never_share_a_name(server: S3Server) -> None:
    kept = store(server)
    contents = [str(number).encode() for number in range(12)]

    files = await asyncio.gather(
        *(kept.save(firm_id="f1", folder="pdf", name="a.pdf", content=content) for content in contents)
    )

    assert len({file.path for file in files}) == 12
    assert [await kept.read(file.path) for file in files] == contents


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("s3://papers/other/f1/pdf/a.pdf", id="another prefix"),
        pytest.param("s3://others/prod/f1/pdf/a.pdf", id="another bucket"),
        pytest.param("s3://papers/prod/../other/a.pdf", id="a way up"),
        pytest.param("prod/f1/pdf/a.pdf", id="no address"),
        pytest.param("/etc/passwd", id="a local file"),
    ],
)
async def test_a_path_never_leaves_the_store(server: S3Server, path: str) -> None:
    with pytest.raises(OptionError, match="outside of the file store"):
        await store(server).read(path)

    assert server.requests == []


@pytest.mark.parametrize(("firm", "folder"), [("../f2", "pdf"), ("f1", "a/b"), ("", "pdf")])
async def test_firm_and_folder_are_plain_names(server: S3Server, firm: str, folder: str) -> None:
    with pytest.raises(OptionError, match="must be plain names"):
        await store(server).save(firm_id=firm, folder=folder, name="a.pdf", content=b"a")


@pytest.mark.parametrize("name", ["f1/pdf/a.pdf", "./a.pdf", "a\0b"])
async def test_a_file_that_is_not_there_is_said_to_be_missing(server: S3Server, name: str) -> None:
    with pytest.raises(OptionError, match="there is no stored file"):
        await store(server).read(f"s3://papers/prod/{name}")


async def test_wrong_credentials_are_a_matter_of_configuration(server: S3Server) -> None:
    with pytest.raises(NotConfiguredError, match="refuses our credentials"):
        await store(server, secret_access_key="wrong").save(
            firm_id="f1", folder="pdf", name="a.pdf", content=b"a"
        )


async def test_a_passing_fault_is_waited_out(server: S3Server) -> None:
    server.failures = [503, 500]

    file = await store(server).save(firm_id="f1", folder="pdf", name="a.pdf", content=b"a")

    assert server.objects["/papers/prod/f1/pdf/a.pdf"] == b"a"
    assert file.name == "a.pdf"


async def test_a_service_that_fails_for_good_is_tried_again_later(server: S3Server) -> None:
    server.failures = [400] * 5

    with pytest.raises(RetryableError, match="the service of the bucket failed"):
        await store(server).save(firm_id="f1", folder="pdf", name="a.pdf", content=b"a")


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3://", "not the name of a bucket"),
        ("s3://A_B", "not the name of a bucket"),
        ("s3://papers/a b", "cannot be what keys begin with"),
        ("s3://papers/../x", "cannot be what keys begin with"),
        ("gs://papers", "not in gs://"),
    ],
)
def test_a_location_that_cannot_be_is_refused(location: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        open_file_store(location)


def test_a_location_without_a_scheme_is_a_folder(tmp_path: Path) -> None:
    found = open_file_store(str(tmp_path))

    assert isinstance(found, LocalFileStore)
    assert found.root == tmp_path


async def test_an_invoice_goes_into_the_bucket(server: S3Server) -> None:
    kept = store(server)

    result = await pdf_queue(store=kept).process(PlainJob(invoice_job()))

    assert result["filePath"] == f"s3://papers/prod/{FIRM}/pdf/invoice-INV-2025-0042.pdf"
    assert "8,625.00" in text_of(await kept.read(result["filePath"]))
