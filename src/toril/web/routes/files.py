"""The firm's files: listed, and fetched by links that expire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from toril.db.ids import is_id
from toril.db.models import GeneratedFile
from toril.db.repositories.reports import Files
from toril.queues.storage import FileStore
from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.auth.principal import Scope
from toril.web.deps import (
    AuditTrail,
    CurrentUser,
    FromClient,
    Installed,
    Limits,
    Reading,
    Records,
    Service,
    Shared,
)
from toril.web.errors import Forbidden, NotFound
from toril.web.files import (
    FILE_ANSWERS,
    LINK_LASTS,
    FileLinks,
    LinkedFile,
    is_handed_over,
    look_at,
    send_file,
)
from toril.web.firms import ReadFirm
from toril.web.job_files import find_job_file
from toril.web.owners import owns_job, require_job_reader
from toril.web.schemas import Answer, Model, Moment, errors

router = APIRouter(tags=["files"], route_class=ApiRoute)

#: Links are followed by programs that add to a query what they like.
fetching = APIRouter(tags=["files"])

Lasts = Annotated[
    int, Query(alias="expiresIn", ge=1, le=7 * 86_400, description="Seconds until the link expires.")
]


class FileView(Model):
    """A file that a job made."""

    id: str
    kind: str
    name: str
    size: int
    media_type: str
    queue: str | None
    job_id: str | None
    created_at: Moment


class FileList(Answer[list[FileView]]):
    """A page of files."""

    count: int
    total: int


class Link(Model):
    """Where a file can be fetched by anybody who has this link, until it expires."""

    name: str
    url: str
    expires_at: Moment


class FileWithLink(FileView, Link):
    """A file, and a link to it."""


@router.get("/api/files", response_model=FileList, responses=errors(400, 401, 403, 404, 503))
async def list_files(
    firm_id: ReadFirm,
    session: Reading,
    page: Limits,
    kind: Annotated[str | None, Query(max_length=32, examples=["export"])] = None,
) -> Json:
    """The firm's files, the newest first."""
    found = await Files(session).list(firm_id=firm_id, kind=kind, limit=page.limit, offset=page.offset)
    return ok([_view(each) for each in found.items], count=len(found.items), total=found.total)


@router.get(
    "/api/files/of-job/{queue}/{job_id:path}",
    response_model=Answer[Link],
    responses=errors(400, 401, 403, 404, 409, 503),
)
async def link_to_job_file(
    queue: str,
    job_id: str,
    user: CurrentUser,
    web: Shared,
    database: Records,
    service: Service,
    installation: Installed,
    audit: AuditTrail,
    lasts: Lasts = LINK_LASTS,
) -> Json:
    """A link to the file that a job has made: for whom the job was added, and for administrators. Whoever belongs to a
    firm gets what was stored for that firm only."""
    if not user.allows(Scope.RECORDS_READ):
        raise Forbidden(f"this API key has not the scope {Scope.RECORDS_READ}")
    await require_job_reader(database, user, queue, job_id)
    if queue not in service.queues:
        raise NotFound(f"there is no queue {queue!r}")
    owned = await owns_job(database, user, queue, job_id)
    file = await find_job_file(
        service, installation.files, database, queue, job_id, firm_id=user.firm_id, owned=owned
    )
    link = await _link(web.links, installation.files, replace(file, asked_by=user.user_id), lasts)
    await audit("file.link", f"{queue}/{job_id}", name=file.name, expiresIn=lasts)
    return ok(link)


@router.get(
    "/api/files/{file_id}", response_model=Answer[FileWithLink], responses=errors(400, 401, 403, 404, 503)
)
async def read_file(
    file_id: str,
    firm_id: ReadFirm,
    user: CurrentUser,
    web: Shared,
    database: Records,
    installation: Installed,
    audit: AuditTrail,
    lasts: Lasts = LINK_LASTS,
) -> Json:
    """A file, and a link to fetch it by."""
    async with database.reading() as session:
        file = await Files(session).get(file_id, firm_id=firm_id)
    linked = LinkedFile(path=file.path, name=file.name, asked_by=user.user_id)
    link = await _link(web.links, installation.files, linked, lasts)
    await audit("file.link", file.id, name=file.name, expiresIn=lasts, firmId=firm_id)
    return ok({**_view(file), **link})


@fetching.head("/files/{token}", include_in_schema=False)
@fetching.get(
    "/files/{token}",
    response_class=Response,
    responses=errors(400, 404, 503) | FILE_ANSWERS,
)
async def fetch_file(
    request: Request, token: str, web: Shared, installation: Installed, client: FromClient
) -> Response:
    """A file by its link; ranges of it too. 404 when the link has expired, or another file has its place."""
    files, file = installation.files, web.links.read(token)
    if file is None:
        raise NotFound("this link is not good, or has expired: ask for a new one")
    response = await send_file(request, files, file)
    if is_handed_over(request, response):
        firm_id = files.firm_of(file.path)
        await web.audits.write(
            {
                "firm_id": firm_id if is_id(firm_id) else None,
                "user_id": None,  # whoever has the link; who asked for it is in the details
                "action": "file.fetch",
                "target": files.place_of(file.path),
                "details": {
                    "name": file.name,
                    "linkOf": file.asked_by,
                    "range": response.headers.get("content-range"),
                },
                "address": client.address,
            }
        )
    return response


def _view(file: GeneratedFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "kind": file.kind,
        "name": file.name,
        "size": file.size,
        "mediaType": file.media_type,
        "queue": file.queue,
        "jobId": file.job_id,
        "createdAt": file.created_at,
    }


async def _link(links: FileLinks, files: FileStore, file: LinkedFile, lasts: int) -> dict[str, Any]:
    url, expires = links.make(replace(file, facts=await look_at(files, file)), lasts=lasts)
    return {"name": file.name, "url": url, "expiresAt": datetime.fromtimestamp(expires, UTC)}
