"""The work behind jobs of the ``pdf`` queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from toril.queues.base import RunningJob
from toril.queues.pdf.documents.base import DocumentPayload, LayOut
from toril.queues.pdf.engines import Engines
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.storage import FileStore, StoredFile

FindSeller = Callable[[str], Awaitable[Seller | None]]
"""Looks up the firm with an id, as it stands at the head of documents; ``None`` if there is no such firm."""

Complete = Callable[[DocumentPayload], Awaitable[DocumentPayload]]
"""The payload with what records say of it; raises ``UnrecoverableError`` if they are of another firm than the job's."""


NoteFile = Callable[[StoredFile, str, str, RunningJob], Awaitable[None]]
"""Notes a file that a job has stored, its firm and the job's type: it is found when the job is long gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentProcessor:
    """Makes the PDF of a document and stores it in the firm's folder ``pdf``.

    A job that runs a second time stores a second file: a file that may have been sent is never replaced.
    """

    type: str
    store: FileStore
    engines: Engines
    lay_out: LayOut
    find_seller: FindSeller | None = None
    complete: Complete | None = None
    note_file: NoteFile | None = None

    async def __call__(self, payload: DocumentPayload, job: RunningJob) -> dict[str, Any]:
        """Run one job; progress is 10 when the data is checked, 40 laid out, 80 rendered, 100 stored.

        Raises:
            NotConfiguredError: the job names a renderer that is not installed.
            UnrecoverableError: the document is of another firm's record.
            RenderError: the renderer failed; the next attempt may succeed.
        """
        renderer = self.engines.get(payload.options.renderer)
        if self.complete is not None:
            payload = await self.complete(payload)
        await job.update_progress(10)
        firm = payload.firm
        if firm is None and self.find_seller is not None:
            firm = await self.find_seller(payload.firm_id)
        document = await asyncio.to_thread(self.lay_out, payload, firm)
        for remark in document.remarks:
            await job.log(remark)
        await job.update_progress(40)
        page = document.page
        content = await renderer.render(page.html, title=page.title, lang=page.lang, options=document.options)
        await job.update_progress(80)
        file = await self.store.save(
            firm_id=payload.firm_id, folder="pdf", name=f"{document.file_name}.pdf", content=content
        )
        if self.note_file is not None:
            try:
                await self.note_file(file, payload.firm_id, self.type, job)
            except Exception:
                # The next attempt makes another file, and nobody would find this one.
                await self.store.delete(file.path)
                raise
        await job.update_progress(100)
        return {
            "success": True,
            **document.facts,
            "fileName": file.name,
            "filePath": file.path,
            "size": file.size,
        }
