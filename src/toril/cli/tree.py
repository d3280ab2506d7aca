"""The commands by name, in groups: what each is called, what it does in one line, and where it is.

A command's module is imported when that command runs, so that ``toril --help`` is quick.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from toril.cli.command import Command, write_epilog, write_parameters
from toril.cli.exits import CommandError, ExitCode

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True, slots=True)
class Row:
    """One command: its help in one line, and where it is: ``module:function``, or a group of commands."""

    help: str
    target: str | type[Group]

    @property
    def is_there(self) -> bool:
        """Whether its module is part of this installation."""
        return not isinstance(self.target, str) or find_spec(self.target.partition(":")[0]) is not None

    def load(self, name: str) -> Any:
        """Import and build it."""
        if not isinstance(self.target, str):
            return self.target(name=name, help=self.help, context_settings=CONTEXT, rich_markup_mode=None)
        module, _, attribute = self.target.partition(":")
        function = getattr(importlib.import_module(module), attribute)
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name, cls=Command, context_settings=CONTEXT)(function)
        built = typer.main.get_command(app)
        built.examples = getattr(function, "examples", "")  # type: ignore[attr-defined]
        return built


class Group(TyperGroup):
    """Commands that are imported when they are called."""

    rows: ClassVar[Mapping[str, Row]] = {}
    examples: ClassVar[str] = ""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, row in self.rows.items():
            if row.is_there:  # a stand-in that holds what the list of commands shows
                self.add_command(TyperCommand(name, help=row.help, rich_markup_mode=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in self.commands and ctx.resilient_parsing:  # a shell completes what is half typed
            return None, None, []
        if name not in self.commands:
            near = get_close_matches(name, self.commands, n=1)
            raise CommandError(
                f"there is no command {ctx.command_path} {name}",
                exit=ExitCode.USAGE,
                code="usage",
                hint=f"did you mean {near[0]!r}?" if near else f"see {ctx.command_path} --help",
            )
        self.add_command(self.rows[name].load(name), name)
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_parameters(formatter, self.get_params(ctx))
        self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_epilog(formatter, self.examples)


class Jobs(Group):
    """``toril jobs …``"""

    rows: ClassVar = {
        "list": Row("List the jobs of a queue.", "toril.cli.jobs:list_jobs"),
        "show": Row("Show one job: data, state, failures and log.", "toril.cli.jobs:show_job"),
        "add": Row("Add a job.", "toril.cli.add:add_job"),
        "search": Row(
            "Look for jobs by a text in their id, name or data as far as it is shown.",
            "toril.cli.job_search:search_jobs",
        ),
        "export": Row("Write the jobs of one state, one a line.", "toril.cli.job_export:export_jobs"),
        "retry": Row("Move failed jobs back to waiting.", "toril.cli.jobs:retry_jobs"),
        "promote": Row("Let delayed jobs run now.", "toril.cli.job_moves:promote_jobs"),
        "cancel": Row("Stop jobs that wait or run.", "toril.cli.job_moves:cancel_jobs"),
        "remove": Row("Delete jobs, whatever state they are in.", "toril.cli.jobs:remove_jobs"),
    }
    examples = """
    toril jobs list email --state failed    what failed, newest first
    toril jobs show email 41                one job with its log
    toril jobs retry email --all            give all failed jobs another chance
    """


class DeadLetters(Group):
    """``toril dead-letters …``"""

    rows: ClassVar = {
        "list": Row(
            "List dead letters, copies of jobs that failed for good.", "toril.cli.dead_letters:list_letters"
        ),
        "show": Row("Show a dead letter: the job, and why it failed.", "toril.cli.dead_letters:show_letter"),
        "retry": Row(
            "Put the jobs of dead letters back into their queues.", "toril.cli.dead_letters:retry_letters"
        ),
        "remove": Row("Delete dead letters.", "toril.cli.dead_letters:remove_letters"),
    }
    examples = """
    toril dead-letters list                    what failed for good
    toril dead-letters retry 17:email:41       give one job another chance
    """


class Schedules(Group):
    """``toril schedules …``"""

    rows: ClassVar = {
        "list": Row("List schedules with their next runs.", "toril.cli.schedules:list_schedules"),
        "add": Row("Add a schedule.", "toril.cli.schedules:add_schedule"),
        "change": Row("Give a schedule other times.", "toril.cli.schedules:change_schedule"),
        "remove": Row("End a schedule.", "toril.cli.schedules:remove_schedule"),
    }
    examples = """
    toril schedules list                                          what runs when
    toril schedules add reports nightly --cron "0 2 * * *"        a new one
    """


class Db(Group):
    """``toril db …``"""

    rows: ClassVar = {
        "upgrade": Row("Make the tables, or bring them to this version.", "toril.cli.db:upgrade_tables"),
        "current": Row(
            "Show which tables there are, and whether an upgrade is due.", "toril.cli.db:show_version"
        ),
        "downgrade": Row("Take the tables back to an earlier version.", "toril.cli.db:downgrade_tables"),
    }
    examples = """
    toril db upgrade           before the first start, and after each upgrade of toril
    toril db current           is an upgrade due?
    """


class People(Group):
    """``toril users …``"""

    rows: ClassVar = {
        "create": Row("Make a user.", "toril.cli.users:create_user"),
        "list": Row("List all users, by address.", "toril.cli.users:list_users"),
        "set-role": Row("Give a user another role.", "toril.cli.users:set_role"),
        "reset-password": Row(
            "Give a user another password, and end all their sign-ins.", "toril.cli.users:reset_password"
        ),
        "disable": Row(
            "Let a user in no more: their sign-ins end, and their API keys are taken back.",
            "toril.cli.users:disable_user",
        ),
        "enable": Row("Let a user in again, with the password they had.", "toril.cli.users:enable_user"),
    }
    examples = """
    toril users create sara@firm.example --role admin    a new administrator, with a password that is shown once
    toril users list                                     who may sign in
    """


class Payments(Group):
    """``toril payments …``"""

    rows: ClassVar = {
        "review": Row(
            "List the payments that somebody must look at, the newest first.",
            "toril.cli.payments:list_reviews",
        ),
        "decide": Row(
            "Say what became of a payment that had to be looked at.", "toril.cli.payments:decide_payment"
        ),
    }
    examples = """
    toril payments review    what must be looked at, and why
    """


class Credentials(Group):
    """``toril credentials …``"""

    rows: ClassVar = {
        "list": Row(
            "List the services, and where a firm has credentials of its own.",
            "toril.cli.credentials:list_credentials",
        ),
        "set": Row(
            "Store a firm's credentials at a service, instead of earlier ones.",
            "toril.cli.credentials:set_credentials",
        ),
        "remove": Row(
            "Delete a firm's credentials at a service.", "toril.cli.credentials:remove_credentials"
        ),
        "reencrypt": Row(
            "Encrypt those of all firms by the present TORIL_SECRET.",
            "toril.cli.reencryption:reencrypt_credentials",
        ),
    }
    examples = """
    toril credentials set moyasar --firm 507f1f77bcf86cd799439011    asks for the values, unseen
    """


class SuppressionCommands(Group):
    """``toril suppressions …``"""

    rows: ClassVar = {
        "list": Row(
            "List addresses that get no more mail, and why.", "toril.cli.suppressions:list_suppressions"
        ),
        "add": Row(
            "Send no more mail to many to an address; with another reason than unsubscribed, no mail at all.",
            "toril.cli.suppressions:add_suppression",
        ),
        "remove": Row(
            "Send mail to an address again, whatever the reasons were.",
            "toril.cli.suppressions:remove_suppression",
        ),
    }
    examples = """
    toril suppressions add client@example.com    no mail to many, of any firm
    """


class OptOuts(Group):
    """``toril opt-outs …``"""

    rows: ClassVar = {
        "list": Row("List numbers that get no SMS, and who told.", "toril.cli.opt_outs:list_opt_outs"),
        "add": Row("Send no more SMS to a number.", "toril.cli.opt_outs:add_opt_out"),
        "remove": Row(
            "Send SMS to a number again, when whoever has it said so.", "toril.cli.opt_outs:remove_opt_out"
        ),
    }
    examples = """
    toril opt-outs add 0512345678
    """


class Webhooks(Group):
    """``toril webhooks …``"""

    rows: ClassVar = {
        "secret": Row(
            "Print the secret with which the receiver at an address verifies webhooks.",
            "toril.cli.webhooks:show_secret",
        ),
    }
    examples = """
    toril webhooks secret https://hooks.client.example    for the receiver there, and for nobody else
    """


class Zatca(Group):
    """``toril zatca …``"""

    rows: ClassVar = {
        "onboard": Row("Get a firm its credentials at ZATCA.", "toril.cli.zatca:onboard"),
        "renew": Row("Get a firm new credentials at ZATCA with those it has.", "toril.cli.zatca:renew"),
        "status": Row("Show how each firm stands at ZATCA.", "toril.cli.zatca_status:show_status"),
    }
    examples = """
    toril zatca onboard --firm 507f1f77bcf86cd799439011 --otp 123345    a firm's first credentials
    toril zatca status                                                  how all firms stand
    """


class Root(Group):
    """``toril …``"""

    rows: ClassVar = {
        "demo": Row("Run jobs of every type, and show what came out.", "toril.cli.demo:demo"),
        "worker": Row("Run the jobs of one or more queues.", "toril.cli.worker:run_worker"),
        "serve": Row("Work the ready-made queues, and serve the HTTP API.", "toril.cli.serve:serve"),
        "queues": Row("List all queues with their counts.", "toril.cli.queues:list_queues"),
        "watch": Row("Show counts of queues as they change.", "toril.cli.watch:watch_queues"),
        "jobs": Row("List, show, add, search, export, retry, promote, cancel and remove jobs.", Jobs),
        "dead-letters": Row("List, show, retry and remove copies of jobs that failed for good.", DeadLetters),
        "schedules": Row("List, add, change and remove schedules.", Schedules),
        "pause": Row("Let no worker take jobs of a queue.", "toril.cli.queues:pause_queue"),
        "resume": Row("Let workers take jobs of a paused queue again.", "toril.cli.queues:resume_queue"),
        "clean": Row("Delete old jobs of one state.", "toril.cli.queues:clean_queue"),
        "empty": Row("Delete all jobs that are not started yet.", "toril.cli.queue_ends:empty_queue"),
        "obliterate": Row("Delete a queue with all that is in it.", "toril.cli.queue_ends:obliterate_queue"),
        "db": Row("Make and change the tables of the records.", Db),
        "users": Row("Say who may sign in to the web application.", People),
        "credentials": Row("Keep firms' own credentials at outside services.", Credentials),
        "suppressions": Row("Keep the list of addresses that get no more mail.", SuppressionCommands),
        "opt-outs": Row("Keep the list of numbers that get no SMS.", OptOuts),
        "payments": Row("List payments that must be looked at, and decide about them.", Payments),
        "webhooks": Row("Tell receivers of webhooks their secrets.", Webhooks),
        "zatca": Row("Bring firms to the tax authority's gateway.", Zatca),
        "doctor": Row(
            "Check whether everything works.",
            "toril.cli.doctor:run_doctor",
        ),
    }
    examples = """
    toril worker tasks:queue                run the jobs of `queue` in tasks.py
    toril queues                            what is waiting, running, done and failed
    toril doctor                            is everything set up right?
    """
