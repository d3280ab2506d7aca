"""``toril zatca``, and ``toril serve`` with it, as people run them, against a gateway that asks for every step."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.support.cli import Toril
from tests.support.email_jobs import PlainJob
from tests.support.records import add_client
from tests.support.zatca_records import VAT_NUMBER, add_tax_firm, add_tax_invoice

from toril.cli.exits import ExitCode
from toril.db.ids import new_id
from toril.db.models import Firm, ZatcaDocument
from toril.db.session import Database
from toril.engine.queue import Queue
from toril.errors import RetryableError
from toril.queues.sync.zatca import choose_zatca
from toril.testing.vendors.server import Reply
from toril.testing.vendors.zatca import OTP, ZatcaServer, zatca_server
from toril.testing.vendors.zatca_judge import SignatureJudge

KEY = "a secret of thirty-two characters or more"


@dataclass
class Town:
    """A gateway, a firm's record, and the command."""

    toril: Toril
    server: ZatcaServer
    home: Path
    firm: Firm

    async def invoice(self) -> str:
        async with Database(home=self.home) as database, database.session() as session:
            firm = await session.get_one(Firm, self.firm.id)
            client = await add_client(session, firm)
            today = datetime.now(UTC).date()
            return (await add_tax_invoice(session, firm, client, issue_date=today, due_date=today)).id


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    home = tmp_path / "home"
    async with zatca_server(SignatureJudge()) as server:
        async with Database(home=home) as database:
            await database.upgrade()
            async with database.session() as session:
                firm = await add_tax_firm(session, name_ar="مكتب الميزان & شركاه")
        settings = {
            "TORIL_HOME": str(home),
            "ZATCA_ENVIRONMENT": "simulation",
            "ZATCA_KEY": KEY,
            "ZATCA_URL": server.url,
        }
        yield Town(Toril(tmp_path, settings), server, home, firm)


async def test_a_firm_is_onboarded_and_its_invoices_are_served(
    town: Town, server_url: str, prefix: str
) -> None:
    toril, firm_id = town.toril, town.firm.id
    onboarded = await toril("zatca", "onboard", "--firm", firm_id, "--otp", OTP, "--json")
    assert onboarded.code == ExitCode.DONE, onboarded.err
    expires_at = onboarded.json["expiresAt"]
    assert datetime.fromisoformat(expires_at) > datetime.now(UTC)
    assert onboarded.json == {
        "firmId": firm_id,
        "environment": "simulation",
        "vatNumber": VAT_NUMBER,
        "expiresAt": expires_at,
    }
    assert [path.name for path in (town.home / "zatca").iterdir()] == [f"{firm_id}.zatca"]

    invoice_id = await town.invoice()
    settings = {"REDIS_URL": server_url, "TORIL_PREFIX": prefix}
    served = Toril(toril.folder, {**toril.settings, **settings}).running(
        "serve", "--only", "sync", "--no-web"
    )
    async with Queue("sync", url=server_url, prefix=prefix) as queue, served as serving:
        await serving.line("serving ")
        job = await queue.add({"type": "zatca-invoice", "data": {"invoiceId": invoice_id, "firmId": firm_id}})
        result = await job.result(60)
        assert (result["success"], result["status"], result["icv"]) == (True, "reported", 1)
        planned = {each.id: each for each in await queue.schedules()}
        assert set(planned) == {"currency-rates", "whatsapp-inbox", "zatca-pending"}
        waits = {job.data["type"]: job.opts.get("timeout") for job in await queue.get_jobs(["delayed"])}
        assert waits == {"currency-rates": 60_000, "whatsapp-inbox": 60_000, "zatca-pending": 900_000}
        serving.send(signal.SIGINT)
        assert await serving.end() == 0
    assert not [line for line in serving.lines if KEY in line or "Traceback" in line]

    status = await toril("zatca", "status", "--json")
    assert (status.code, status.json["environment"]) == (ExitCode.DONE, "simulation")
    assert status.json["firms"] == [
        {
            "firmId": firm_id,
            "name": "مكتب الميزان & شركاه",
            "vatNumber": VAT_NUMBER,
            "credentials": "ready",
            "expiresAt": expires_at,
            "documents": {"pending": 0, "reported": 1, "cleared": 0, "rejected": 0},
            "pendingSince": None,
            "overdue": False,
        }
    ]


async def test_the_status_is_a_table_for_people(town: Town) -> None:
    status = await town.toril("zatca", "status")
    assert status.code == ExitCode.DONE
    head, row = status.out.splitlines()[-2:]
    assert head.split()[:3] == ["firm", "name", "VAT"]
    assert town.firm.id in row
    assert "none" in row


async def test_credentials_that_do_not_open_or_are_for_elsewhere_want_somebody(town: Town) -> None:
    toril = town.toril
    assert (await toril("zatca", "onboard", "--firm", town.firm.id, "--otp", OTP)).code == ExitCode.DONE
    for name, value, said in (
        ("ZATCA_KEY", KEY[::-1], "unreadable"),
        ("ZATCA_ENVIRONMENT", "production", "other environment"),
    ):
        elsewhere = Toril(toril.folder, {**toril.settings, name: value})
        status = await elsewhere("zatca", "status", "--json")
        assert status.code == ExitCode.FAILED
        assert status.json["firms"][0]["credentials"] == said


async def test_renewing_stores_other_credentials_and_onboarding_again_asks(town: Town) -> None:
    toril, arguments = town.toril, ("--firm", town.firm.id, "--otp", OTP)
    refused = await toril("zatca", "renew", *arguments)
    assert refused.code == ExitCode.USAGE
    assert "no credentials to renew; onboard it" in refused.err
    await toril("zatca", "onboard", *arguments)
    file = town.home / "zatca" / f"{town.firm.id}.zatca"
    first = file.read_bytes()
    assert (await toril("zatca", "renew", *arguments)).code == ExitCode.DONE
    second = file.read_bytes()
    assert first != second
    asked = await toril("zatca", "onboard", *arguments)
    assert asked.code == ExitCode.USAGE
    assert f"this would replace the credentials of firm {town.firm.id} at ZATCA; add --yes" in asked.err
    assert file.read_bytes() == second
    assert (await toril("zatca", "onboard", *arguments, "--yes")).code == ExitCode.DONE
    assert file.read_bytes() != second


async def test_the_one_time_password_is_asked_for_where_somebody_sits(town: Town) -> None:
    command = ("zatca", "onboard", "--firm", town.firm.id)
    async with town.toril.running(*command, terminal=True) as asking:
        asking.type(f"{OTP}\n")
        assert await asking.end() == 0
    assert "One-time password" in "".join(asking.lines)
    assert (town.home / "zatca" / f"{town.firm.id}.zatca").exists()


async def test_the_unit_is_as_it_is_told(town: Town) -> None:
    done = await town.toril(
        "zatca", "onboard", "--firm", town.firm.id, "--otp", OTP,
        "--documents", "simplified", "--name", "TILL-7", "--branch", "Jeddah",
    )  # fmt: skip
    assert done.code == ExitCode.DONE, done.err
    assert "certificate expires" in done.out
    checks = [each for each in town.server.http.requests if each.path.endswith("/compliance/invoices")]
    assert len(checks) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--otp", "12"], ExitCode.USAGE, "six digits"),
        ([], ExitCode.USAGE, "give it with --otp"),
        (["--otp", OTP, "--documents", "all"], ExitCode.USAGE, "one of both, standard, simplified"),
        (["--otp", OTP, "--branch", "a<b"], ExitCode.USAGE, "none of"),
        (["--otp", "999999"], ExitCode.USAGE, "Check the one-time password"),
    ],
)
async def test_what_cannot_be_used_is_told_and_nothing_stored(
    town: Town, arguments: list[str], code: ExitCode, said: str
) -> None:
    done = await town.toril("zatca", "onboard", "--firm", town.firm.id, *arguments, "--json")
    assert done.code == code
    assert said in done.error["message"] + done.error.get("hint", "")
    assert not (town.home / "zatca").exists()


async def test_a_firm_that_is_not_there_or_lacks_something_is_told(town: Town) -> None:
    gone = await town.toril("zatca", "onboard", "--firm", new_id(), "--otp", OTP)
    assert (gone.code, "not found" in gone.err) == (ExitCode.FAILED, True)
    wrong = await town.toril("zatca", "onboard", "--firm", "7", "--otp", OTP)
    assert (wrong.code, "not found" in wrong.err) == (ExitCode.FAILED, True)
    async with Database(home=town.home) as database, database.session() as session:
        bare = await add_tax_firm(session, street=None)
    lacking = await town.toril("zatca", "onboard", "--firm", bare.id, "--otp", OTP)
    assert lacking.code == ExitCode.FAILED
    assert "the firm has no street" in lacking.err
    assert town.server.http.requests == []


async def test_a_gateway_that_is_away_or_loses_the_answer_says_what_to_do(town: Town) -> None:
    arguments = ("zatca", "onboard", "--firm", town.firm.id, "--otp", OTP, "--json")
    away = await town.toril(*arguments, ZATCA_URL="http://127.0.0.1:1")
    assert away.code == ExitCode.UNREACHABLE
    assert "was not sent" in away.error["message"]
    for step, hint in (("drop", "new one-time password"), (Reply(503), "try again later")):
        town.server.http.script.append(step)
        lost = await town.toril(*arguments)
        assert lost.code == ExitCode.FAILED
        assert hint in lost.error["hint"]
        assert OTP not in lost.err


async def test_without_settings_or_tables_it_says_which(town: Town, tmp_path: Path) -> None:
    unset = await town.toril("zatca", "status", ZATCA_ENVIRONMENT="")
    assert unset.code == ExitCode.USAGE
    assert "set ZATCA_ENVIRONMENT and ZATCA_KEY" in unset.err
    half = await town.toril("zatca", "status", ZATCA_KEY="")
    assert half.code == ExitCode.USAGE
    assert "needs ZATCA_KEY too" in half.err
    short = await town.toril("zatca", "status", ZATCA_KEY="short")
    assert short.code == ExitCode.USAGE
    assert "short" not in short.err.replace("ZATCA_KEY", "")
    empty = await town.toril("zatca", "status", TORIL_HOME=str(tmp_path / "other"))
    assert empty.code == ExitCode.USAGE
    assert "toril db upgrade" in empty.err


async def test_a_document_that_waits_too_long_wants_somebody(town: Town) -> None:
    await town.toril("zatca", "onboard", "--firm", town.firm.id, "--otp", OTP)
    invoice_id = await town.invoice()
    async with Database(home=town.home) as database:
        zatca = choose_zatca(
            database,
            folder=town.home / "zatca",
            zatca_environment="simulation",
            zatca_key=KEY,
            zatca_url=town.server.url,
        )
        assert zatca is not None
        town.server.http.script.append(Reply(500))
        job = zatca.job_type()
        with pytest.raises(RetryableError, match="HTTP 500"):
            await job.process(
                job.payload.model_validate({"invoiceId": invoice_id, "firmId": town.firm.id}), PlainJob(None)
            )
        await zatca.close()
        signed = datetime.now(UTC) - timedelta(hours=21)
        status = await town.toril("zatca", "status", "--json")
        assert (status.code, status.json["firms"][0]["documents"]["pending"]) == (ExitCode.DONE, 1)
        async with database.session() as session:
            await session.execute(update(ZatcaDocument).values(created_at=signed))
    status = await town.toril("zatca", "status")
    assert status.code == ExitCode.FAILED
    assert "(overdue)" in status.out
