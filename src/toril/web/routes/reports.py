"""Reports: asked for, listed, downloaded."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from toril.db.models import Report, ReportStatus
from toril.db.repositories.reports import Files, Reports
from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.deps import AuditTrail, Installed, Limits, Reading, Records, Service
from toril.web.errors import HttpError
from toril.web.files import FILE_ANSWERS, LinkedFile, is_handed_over, send_file
from toril.web.firms import FirmAsked, ReadFirm, WriteRecords, firm_of
from toril.web.job_files import NoFile, NotReady, find_job_file
from toril.web.owners import note_owner
from toril.web.queue_route import read_body, takes
from toril.web.schemas import Answer, Model, Moment, errors

router = APIRouter(prefix="/api/reports", tags=["reports"], route_class=ApiRoute)

_NEW: Final = {"type": "financial", "startDate": "2026-01-01", "endDate": "2026-03-31", "format": "pdf"}


class OtherFirm(HttpError):
    """Two firms are named."""

    code, status = "bad_request", 400


class NewReport(Model):
    """A report's type, and beside it what the type takes; see the reference of payloads."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(max_length=64)]
    firm_id: Annotated[
        str | None,
        Field(
            max_length=64,
            description="For administrators without a firm: which is meant. Others may name their own.",
        ),
    ] = None


class QueuedReport(Model):
    """Where a report is being made."""

    id: str
    report_id: str
    job_id: str
    queue_name: str
    status: ReportStatus


class QueuedReportAnswer(Answer[QueuedReport]):
    """The same, also beside the data."""

    report_id: str
    job_id: str


class ReportView(Model):
    """A saved report."""

    id: str
    type: str
    name: str
    status: ReportStatus
    parameters: dict[str, Any]
    summary: dict[str, Any] | None
    error: str | None
    job_id: str | None
    file_id: str | None
    requested_by: str | None
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None


class ReportList(Answer[list[ReportView]]):
    """A page of reports."""

    count: int
    total: int


@router.post(
    "/generate",
    response_model=QueuedReportAnswer,
    responses=errors(400, 401, 403, 404, 409, 413, 415, 503),
    openapi_extra=takes(NewReport, _NEW),
)
async def generate_report(
    request: Request,
    user: WriteRecords,
    database: Records,
    service: Service,
    audit: AuditTrail,
    asked: FirmAsked = None,
) -> Json:
    """Ask for a report: it is saved as queued, and a job makes it. Whoever asks may see how the job is.

    It is of one's own firm: another one in the query or the body is a 404.
    """
    body = await read_body(request, NewReport)
    if asked is not None and body.firm_id not in (None, asked):
        raise OtherFirm("firmId in the query and in the body are two firms: say which one is meant, once")
    firm_id = firm_of(user, asked or body.firm_id)
    data = {**(body.model_extra or {}), "firmId": firm_id}
    data.pop("reportId", None)  # one that is saved already is not asked for here
    service.definitions["report"].check({"type": body.type, "data": data})
    await audit("report.generate", body.type, firmId=firm_id)
    added = await service.generate_report(data, body.type, requested_by=user.user_id)
    await note_owner(database, user, "report", added["jobId"])
    ids = {"reportId": added["reportId"], "jobId": added["jobId"]}
    return ok({"id": added["reportId"], **ids, "queueName": "report", "status": ReportStatus.QUEUED}, **ids)


@router.get("", response_model=ReportList, responses=errors(400, 401, 403, 404, 503))
async def list_reports(firm_id: ReadFirm, session: Reading, page: Limits) -> Json:
    """The firm's reports, the newest first."""
    found = await Reports(session).list(firm_id=firm_id, limit=page.limit, offset=page.offset)
    return ok([_view(each) for each in found.items], count=len(found.items), total=found.total)


@router.get("/{report_id}", response_model=Answer[ReportView], responses=errors(400, 401, 403, 404, 503))
async def read_report(report_id: str, firm_id: ReadFirm, session: Reading) -> Json:
    """How far a report is, and what it says in short."""
    return ok(_view(await Reports(session).get(report_id, firm_id=firm_id)))


@router.get(
    "/{report_id}/download",
    response_class=Response,
    responses=errors(400, 401, 403, 404, 409, 503) | FILE_ANSWERS,
)
async def download_report(
    request: Request,
    report_id: str,
    firm_id: ReadFirm,
    database: Records,
    installation: Installed,
    audit: AuditTrail,
    pdf: Annotated[bool, Query(description="The printed report instead of its data.")] = False,
) -> Response:
    """The report's file; ranges of it too. 409 until it is ready."""
    async with database.reading() as session:
        report = await Reports(session).get(report_id, firm_id=firm_id)
        _require_ready(report)
        stored = None if report.file_id is None else await Files(session).get(report.file_id, firm_id=firm_id)
    if pdf:
        job_id = (report.summary or {}).get("pdfJobId")
        if job_id is None:
            raise NoFile(f"report {report_id} was asked for without a PDF: ask for it with format pdf")
        file = await find_job_file(
            installation.service, installation.files, database, "pdf", str(job_id), firm_id=firm_id
        )
    elif stored is None:
        raise NoFile(f"report {report_id} has no file")
    else:
        file = LinkedFile(path=stored.path, name=stored.name)
    response = await send_file(request, installation.files, file)
    if is_handed_over(request, response):
        await audit(
            "report.download", report_id, pdf=pdf, range=response.headers.get("content-range"), firmId=firm_id
        )
    del response.headers["cache-control"]  # for the API's own, as a report is not for a browser's store
    return response


def _require_ready(report: Report) -> None:
    if report.status != ReportStatus.READY:
        why = f": {report.error}" if report.error else ""
        raise NotReady(f"report {report.id} is {report.status.value}{why}")


def _view(report: Report) -> dict[str, Any]:
    return {
        "id": report.id,
        "type": report.type,
        "name": report.name,
        "status": report.status,
        "parameters": report.parameters,
        "summary": report.summary,
        "error": report.error,
        "jobId": report.job_id,
        "fileId": report.file_id,
        "requestedBy": report.requested_by,
        "createdAt": report.created_at,
        "startedAt": report.started_at,
        "finishedAt": report.finished_at,
    }
