"""The settings: one row a setting, read from the environment once, at the edge, and passed inwards.

The commands, the web application, the reference page and the checks all come from the fields of ``Settings``.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, Self

import toril.setting_kinds as kinds
from toril.errors import ConfigurationError
from toril.setting_kinds import Setting

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("text", "json")
PDF_RENDERERS: Final = ("plutoprint", "chromium")
SMS_PROVIDERS: Final = ("log", "unifonic", "taqnyat", "twilio")
ZATCA_ENVIRONMENTS: Final = ("sandbox", "simulation", "production")

_CREDENTIALS = re.compile(r"(?<=://).*@")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """What the environment says; every field is a setting, and none is required.

    A path that begins with ``$TORIL_HOME`` is one in ``home``.
    """

    home: Path = field(
        default=Path(".toril"),
        metadata=kinds.row(
            "TORIL_HOME",
            "folder",
            kinds.folder,
            "Where the embedded server and the files of this installation live.",
        ),
    )
    redis_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "REDIS_URL",
            "URL",
            kinds.server_url,
            "Redis or Valkey: redis://[user:password@]host:port/db, rediss:// for TLS, unix:///path, or "
            "redis+sentinel://host:port,host:port/service/db.",
            unset="the embedded server",
        ),
    )
    redis_password: str | None = field(
        default=None,
        metadata=kinds.row(
            "REDIS_PASSWORD",
            "text",
            kinds.text,
            "Password of the server, if REDIS_URL has none.",
            secret=True,
        ),
    )
    prefix: str = field(
        default="bull",
        metadata=kinds.row("TORIL_PREFIX", "text", kinds.prefix, "What the keys of all queues begin with."),
    )
    shared_with_node: bool | None = field(
        default=None,
        metadata=kinds.row(
            "TORIL_SHARED_WITH_NODE",
            "on, off",
            kinds.switch,
            "Whether workers of Node may take jobs of the queues; off keeps adds with a priority fast while no worker "
            "of Toril runs.",
            unset="on, unless another process says off",
        ),
    )
    database_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "DATABASE_URL",
            "URL",
            kinds.database_url,
            "The application's records: postgresql://… or sqlite:///….",
            unset="SQLite in TORIL_HOME",
        ),
    )
    database_pool_size: int = field(
        default=5,
        metadata=kinds.row(
            "DATABASE_POOL_SIZE",
            "number",
            kinds.connections,
            "Connections to the database that a process keeps open, for what writes and as many again for what reads.",
        ),
    )
    database_pool_overflow: int = field(
        default=10,
        metadata=kinds.row(
            "DATABASE_POOL_OVERFLOW",
            "number",
            kinds.more_connections,
            "Connections that it opens beside them, for either, while all are in use.",
        ),
    )
    database_pool_wait: float = field(
        default=10.0,
        metadata=kinds.row(
            "DATABASE_POOL_WAIT",
            "seconds",
            kinds.amount,
            "How long a transaction waits for a connection before it fails.",
        ),
    )
    port: int = field(
        default=8080,
        metadata=kinds.row("PORT", "port", kinds.port, "Where the HTTP API and the dashboard listen."),
    )
    host: str = field(
        default="127.0.0.1",
        metadata=kinds.row(
            "TORIL_HOST",
            "address",
            kinds.text,
            "Which address of this machine the HTTP API listens on; 0.0.0.0 for all.",
        ),
    )
    cors_origins: tuple[str, ...] = field(
        default=(),
        metadata=kinds.row(
            "TORIL_CORS_ORIGINS",
            "URLs",
            kinds.origins,
            "Web pages of which origins may call the HTTP API: https://app.firm.example; several with commas.",
            unset="none but its own",
        ),
    )
    trusted_proxies: str | None = field(
        default=None,
        metadata=kinds.row(
            "TORIL_TRUSTED_PROXIES",
            "addresses",
            kinds.text,
            "Proxies whose X-Forwarded-For tells where a request comes from: addresses or networks, with commas.",
            unset="none",
        ),
    )
    public_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "TORIL_PUBLIC_URL",
            "URL",
            kinds.public_url,
            "Where the web application is reached from outside; links in mail begin with it.",
            unset="http://localhost:PORT",
        ),
    )
    secret: str | None = field(
        default=None,
        metadata=kinds.row(
            "TORIL_SECRET",
            "text",
            kinds.secret,
            "Signs links in mail and access tokens, and encrypts the credentials of firms; at least 32 characters. "
            "When it is replaced, keep the old one in TORIL_SECRET_PREVIOUS; when it is lost, so are the credentials.",
            unset="made once, and kept in TORIL_HOME",
            secret=True,
        ),
    )
    secret_previous: tuple[str, ...] = field(
        default=(),
        metadata=kinds.row(
            "TORIL_SECRET_PREVIOUS",
            "texts",
            kinds.secrets,
            "What TORIL_SECRET was before, with commas between: what it signed and encrypted is still good.",
            secret=True,
        ),
    )
    timezone: str = field(
        default="Asia/Riyadh",
        metadata=kinds.row("TORIL_TIMEZONE", "time zone", kinds.zone, "Zone of schedules and documents."),
    )
    files_path: Path | str = field(
        default=Path("$TORIL_HOME", "files"),
        metadata=kinds.row(
            "TORIL_FILES",
            "folder, or s3://bucket/prefix",
            kinds.file_store,
            "Where documents, reports and exports are kept.",
        ),
    )
    logs_path: Path = field(
        default=Path("$TORIL_HOME", "logs"),
        metadata=kinds.row(
            "TORIL_LOGS",
            "folder",
            kinds.folder,
            "Where your system puts logs that are rotated, for the cleanup that deletes old ones.",
        ),
    )
    reports_days: int = field(
        default=365,
        metadata=kinds.row(
            "TORIL_REPORTS_DAYS",
            "days",
            kinds.days,
            "For how long reports and exports are kept, with their files.",
        ),
    )
    s3_endpoint: str | None = field(
        default=None,
        metadata=kinds.row(
            "TORIL_S3_ENDPOINT",
            "URL",
            kinds.public_url,
            "Address of the service that has the bucket: MinIO, Ceph, R2 and others.",
            unset="that of AWS",
        ),
    )
    s3_region: str | None = field(
        default=None,
        metadata=kinds.row("TORIL_S3_REGION", "text", kinds.text, "Its region.", unset="us-east-1"),
    )
    s3_access_key_id: str | None = field(
        default=None,
        metadata=kinds.row(
            "TORIL_S3_ACCESS_KEY_ID",
            "text",
            kinds.text,
            "Id of the access key of the bucket.",
            unset="AWS_ACCESS_KEY_ID, or the role of the machine",
        ),
    )
    s3_secret_access_key: str | None = field(
        default=None,
        metadata=kinds.row("TORIL_S3_SECRET_ACCESS_KEY", "text", kinds.text, "The key itself.", secret=True),
    )
    pdf_renderer: Literal["plutoprint", "chromium"] = field(
        default="plutoprint",
        metadata=kinds.row(
            "TORIL_PDF_RENDERER",
            ", ".join(PDF_RENDERERS),
            kinds.one_of(*PDF_RENDERERS),
            "What makes PDF files of jobs that do not say.",
        ),
    )
    pdf_allow: tuple[str, ...] = field(
        default=(),
        metadata=kinds.row(
            "TORIL_PDF_ALLOW",
            "origins",
            kinds.origins,
            "Whence HTML of jobs may take pictures, styles and fonts: https://assets.example.com, with commas between.",
            unset="no origin",
        ),
    )
    chromium: Path | None = field(
        default=None,
        metadata=kinds.row(
            "TORIL_CHROMIUM", "file", kinds.folder, "The browser for PDF files.", unset="one on PATH"
        ),
    )
    chromium_sandbox: bool | None = field(
        default=None,
        metadata=kinds.row(
            "TORIL_CHROMIUM_SANDBOX",
            "on, off",
            kinds.switch,
            "Whether Chromium puts its own sandbox around pages.",
            unset="on, but not for root",
        ),
    )
    outbox_path: Path = field(
        default=Path("$TORIL_HOME", "outbox"),
        metadata=kinds.row(
            "TORIL_OUTBOX",
            "folder",
            kinds.folder,
            "Where mail goes while neither Resend nor SMTP is set, and SMS while SMS_PROVIDER is log.",
        ),
    )
    resend_api_key: str | None = field(
        default=None,
        metadata=kinds.row(
            "RESEND_API_KEY", "text", kinds.text, "Send mail by Resend with this key.", secret=True
        ),
    )
    resend_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "RESEND_URL",
            "URL",
            kinds.public_url,
            "Resend's API, if it is reached elsewhere.",
            unset="https://api.resend.com",
        ),
    )
    email_in_order: bool = field(
        default=True,
        metadata=kinds.row(
            "EMAIL_IN_ORDER",
            "on, off",
            kinds.switch,
            "Whether single mails are handed over in the order of the queue, one by one, where there is a rate.",
            unset="on",
        ),
    )
    email_per_second: float | None = field(
        default=None,
        metadata=kinds.row(
            "EMAIL_PER_SECOND",
            "number",
            kinds.amount,
            "Mails, or batches of bulk mail, that all workers together hand to the provider in a second.",
            unset="2 with Resend, any number otherwise",
        ),
    )
    email_give_up_hours: float = field(
        default=48.0,
        metadata=kinds.row(
            "EMAIL_GIVE_UP_HOURS",
            "hours",
            kinds.amount,
            'How long a mail may be put off by a provider that says "later", before its job fails.',
        ),
    )
    resend_webhook_secret: str | None = field(
        default=None,
        metadata=kinds.row(
            "RESEND_WEBHOOK_SECRET",
            "text",
            kinds.text,
            "Takes events of mails from Resend's webhook, signed with this: whsec_ and base64.",
            secret=True,
        ),
    )
    smtp_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "SMTP_URL",
            "URL",
            kinds.mail_url,
            "Send mail by SMTP: smtp://user:password@host:587, or smtps://… for TLS from the start. With "
            "RESEND_API_KEY too, what Resend certainly did not take.",
        ),
    )
    from_email: str | None = field(
        default=None, metadata=kinds.row("FROM_EMAIL", "address", kinds.email, "The sender of mail.")
    )
    from_name: str | None = field(
        default=None, metadata=kinds.row("FROM_NAME", "text", kinds.text, "The sender's name.")
    )
    vapid_public_key: str | None = field(
        default=None,
        metadata=kinds.row("VAPID_PUBLIC_KEY", "text", kinds.text, "Public half of the Web Push key pair."),
    )
    vapid_private_key: str | None = field(
        default=None,
        metadata=kinds.row(
            "VAPID_PRIVATE_KEY", "text", kinds.text, "Private half of the Web Push key pair.", secret=True
        ),
    )
    contact_email: str | None = field(
        default=None,
        metadata=kinds.row(
            "CONTACT_EMAIL", "address", kinds.email, "Whom push services may write to about our messages."
        ),
    )
    sms_provider: str = field(
        default="log",
        metadata=kinds.row(
            "SMS_PROVIDER",
            ", ".join(SMS_PROVIDERS),
            kinds.one_of(*SMS_PROVIDERS),
            "Who sends SMS; log writes them to a folder of TORIL_OUTBOX.",
        ),
    )
    sms_sender: str | None = field(
        default=None,
        metadata=kinds.row(
            "SMS_SENDER",
            "text",
            kinds.text,
            "Sender of SMS whose job names none: a registered name, or a number or service of Twilio.",
        ),
    )
    sms_fallback: str | None = field(
        default=None,
        metadata=kinds.row(
            "SMS_FALLBACK",
            ", ".join(SMS_PROVIDERS[1:]),
            kinds.one_of(*SMS_PROVIDERS[1:]),
            "Who sends what the provider of SMS_PROVIDER certainly did not.",
        ),
    )
    sms_fallback_sender: str | None = field(
        default=None,
        metadata=kinds.row(
            "SMS_FALLBACK_SENDER", "text", kinds.text, "As SMS_SENDER, for SMS that go by SMS_FALLBACK."
        ),
    )
    sms_webhook_token: str | None = field(
        default=None,
        metadata=kinds.row(
            "SMS_WEBHOOK_TOKEN",
            "text",
            kinds.secret,
            "Takes reports of Unifonic and Taqnyat, whose webhooks are unsigned: the last part of their address; at "
            "least 32 characters.",
            secret=True,
        ),
    )
    sms_webhook_answer: str | None = field(
        default=None,
        metadata=kinds.row(
            "SMS_WEBHOOK_ANSWER",
            "text",
            kinds.text,
            "What these reports are answered with, as agreed on in Taqnyat's portal.",
            unset="OK",
        ),
    )
    unifonic_app_sid: str | None = field(
        default=None, metadata=kinds.row("UNIFONIC_APP_SID", "text", kinds.text, "For Unifonic.", secret=True)
    )
    taqnyat_token: str | None = field(
        default=None, metadata=kinds.row("TAQNYAT_TOKEN", "text", kinds.text, "For Taqnyat.", secret=True)
    )
    twilio_account_sid: str | None = field(
        default=None,
        metadata=kinds.row("TWILIO_ACCOUNT_SID", "text", kinds.text, "For Twilio: AC and 32 digits."),
    )
    twilio_auth_token: str | None = field(
        default=None, metadata=kinds.row("TWILIO_AUTH_TOKEN", "text", kinds.text, "For Twilio.", secret=True)
    )
    webhook_secret: str | None = field(
        default=None,
        metadata=kinds.row(
            "WEBHOOK_SECRET",
            "text",
            kinds.text,
            "What receivers' secrets are made from: whsec_ and base64; during a change the new, a space and the old.",
            secret=True,
        ),
    )
    allowed_networks: tuple[str, ...] = field(
        default=(),
        metadata=kinds.row(
            "TORIL_ALLOWED_NETWORKS",
            "networks",
            kinds.networks,
            "Inner networks that webhooks and pushes may go to, also by http: 10.1.0.0/16 (80, 443), 10.1.0.0/16:8080.",
            unset="none: public addresses only, by https",
        ),
    )
    socketio_channel: str = field(
        default="socketio",
        metadata=kinds.row(
            "SOCKETIO_CHANNEL",
            "text",
            kinds.text,
            "Redis channel of live events; installations that share a server need different ones.",
        ),
    )
    exchange_rate_api_key: str | None = field(
        default=None,
        metadata=kinds.row(
            "EXCHANGE_RATE_API_KEY",
            "text",
            kinds.text,
            "Read exchange rates from exchangerate-api.com with this key first.",
            unset="services that need no key",
            secret=True,
        ),
    )
    exchange_rate_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "EXCHANGE_RATE_URL",
            "URL",
            kinds.public_url,
            "Read exchange rates only here: a service that answers as open.er-api.com does.",
            unset="those that are free",
        ),
    )
    stripe_secret_key: str | None = field(
        default=None,
        metadata=kinds.row(
            "STRIPE_SECRET_KEY", "text", kinds.text, "Look payments up at Stripe.", secret=True
        ),
    )
    stripe_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "STRIPE_URL",
            "URL",
            kinds.public_url,
            "Stripe's API, if it is reached elsewhere.",
            unset="https://api.stripe.com",
        ),
    )
    moyasar_secret_key: str | None = field(
        default=None,
        metadata=kinds.row(
            "MOYASAR_SECRET_KEY",
            "text",
            kinds.text,
            "Look payments by mada and STC Pay up at Moyasar.",
            secret=True,
        ),
    )
    moyasar_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "MOYASAR_URL",
            "URL",
            kinds.public_url,
            "Moyasar's API, if it is reached elsewhere.",
            unset="https://api.moyasar.com/v1",
        ),
    )
    hyperpay_access_token: str | None = field(
        default=None,
        metadata=kinds.row(
            "HYPERPAY_ACCESS_TOKEN",
            "text",
            kinds.text,
            "Look payments by mada up at HyperPay instead.",
            secret=True,
        ),
    )
    hyperpay_mada_entity_id: str | None = field(
        default=None,
        metadata=kinds.row(
            "HYPERPAY_MADA_ENTITY_ID",
            "text",
            kinds.text,
            "HyperPay's entity for mada.",
        ),
    )
    hyperpay_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "HYPERPAY_URL",
            "URL",
            kinds.public_url,
            "HyperPay's test system instead of the live one.",
            unset="https://eu-prod.oppwa.com",
        ),
    )
    stcpay_client_code: str | None = field(
        default=None,
        metadata=kinds.row(
            "STCPAY_CLIENT_CODE",
            "text",
            kinds.text,
            "Look payments by STC Pay up at STC Pay itself: the merchant's code.",
            secret=True,
        ),
    )
    stcpay_certificate: Path | None = field(
        default=None,
        metadata=kinds.row(
            "STCPAY_CERTIFICATE",
            "file",
            kinds.folder,
            "The merchant's certificate at STC Pay, in PEM.",
        ),
    )
    stcpay_private_key: Path | None = field(
        default=None,
        metadata=kinds.row(
            "STCPAY_PRIVATE_KEY",
            "file",
            kinds.folder,
            "The key of that certificate, in PEM.",
        ),
    )
    stcpay_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "STCPAY_URL",
            "URL",
            kinds.public_url,
            "STC Pay's staging system instead of the live one.",
            unset="the live system",
        ),
    )
    lean_client_id: str | None = field(
        default=None,
        metadata=kinds.row(
            "LEAN_CLIENT_ID",
            "text",
            kinds.text,
            "Read bank accounts by Lean: the client's id.",
        ),
    )
    lean_client_secret: str | None = field(
        default=None,
        metadata=kinds.row("LEAN_CLIENT_SECRET", "text", kinds.text, "For Lean.", secret=True),
    )
    lean_app_token: str | None = field(
        default=None,
        metadata=kinds.row(
            "LEAN_APP_TOKEN", "text", kinds.text, "For Lean: the application's id.", secret=True
        ),
    )
    lean_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "LEAN_URL",
            "URL",
            kinds.public_url,
            "Lean's sandbox instead of the live system.",
            unset="https://api2.sa.leantech.me",
        ),
    )
    lean_auth_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "LEAN_AUTH_URL",
            "URL",
            kinds.public_url,
            "Where Lean gives access, without /oauth2/token.",
            unset="https://auth.sa.leantech.me",
        ),
    )
    lean_certificate: Path | None = field(
        default=None,
        metadata=kinds.row(
            "LEAN_CERTIFICATE",
            "file",
            kinds.folder,
            "A client certificate in PEM, if Lean asks for one.",
        ),
    )
    lean_private_key: Path | None = field(
        default=None,
        metadata=kinds.row(
            "LEAN_PRIVATE_KEY",
            "file",
            kinds.folder,
            "The key of that certificate, in PEM.",
        ),
    )
    sadad_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "SADAD_URL",
            "URL",
            kinds.public_url,
            "Where the firm's bank or aggregator tells of SADAD bills.",
        ),
    )
    sadad_token_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "SADAD_TOKEN_URL",
            "URL",
            kinds.public_url,
            "Where it gives access, by OAuth client credentials.",
        ),
    )
    sadad_client_id: str | None = field(
        default=None,
        metadata=kinds.row(
            "SADAD_CLIENT_ID",
            "text",
            kinds.text,
            "The client's id there.",
        ),
    )
    sadad_client_secret: str | None = field(
        default=None,
        metadata=kinds.row(
            "SADAD_CLIENT_SECRET", "text", kinds.text, "The client's secret there.", secret=True
        ),
    )
    sadad_bill_path: str | None = field(
        default=None,
        metadata=kinds.row(
            "SADAD_BILL_PATH",
            "text",
            kinds.text,
            "Path of a bill there, with {bill} for its number.",
        ),
    )
    sadad_fields: str | None = field(
        default=None,
        metadata=kinds.row(
            "SADAD_FIELDS",
            "text",
            kinds.text,
            "JSON pointers into its answer: status=/bill/status amount=/bill/amount.",
        ),
    )
    sadad_paid: str | None = field(
        default=None,
        metadata=kinds.row(
            "SADAD_PAID",
            "text",
            kinds.text,
            "What the status of a paid bill says; several with commas.",
        ),
    )
    sadad_unpaid: str | None = field(
        default=None,
        metadata=kinds.row(
            "SADAD_UNPAID",
            "text",
            kinds.text,
            "What the status of an unpaid bill says; several with commas.",
        ),
    )
    wathq_api_key: str | None = field(
        default=None,
        metadata=kinds.row(
            "WATHQ_API_KEY", "text", kinds.text, "Ask Wathq about companies: the consumer key.", secret=True
        ),
    )
    wathq_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "WATHQ_URL",
            "URL",
            kinds.public_url,
            "Wathq's sandbox instead of the live system.",
            unset="https://api.wathq.sa",
        ),
    )
    whatsapp_app_secret: str | None = field(
        default=None,
        metadata=kinds.row(
            "WHATSAPP_APP_SECRET",
            "text",
            kinds.text,
            "Takes messages from WhatsApp's webhook, signed with this.",
            secret=True,
        ),
    )
    whatsapp_verify_token: str | None = field(
        default=None,
        metadata=kinds.row(
            "WHATSAPP_VERIFY_TOKEN",
            "text",
            kinds.text,
            "What Meta says when the webhook is set up there.",
            secret=True,
        ),
    )
    zatca_environment: str | None = field(
        default=None,
        metadata=kinds.row(
            "ZATCA_ENVIRONMENT",
            ", ".join(ZATCA_ENVIRONMENTS),
            kinds.one_of(*ZATCA_ENVIRONMENTS),
            "Where at ZATCA invoices are cleared and reported.",
        ),
    )
    zatca_key: str | None = field(
        default=None,
        metadata=kinds.row(
            "ZATCA_KEY",
            "text",
            kinds.secret,
            "Encrypts the credentials of firms, kept in $TORIL_HOME/zatca; at least 32 characters.",
            secret=True,
        ),
    )
    zatca_url: str | None = field(
        default=None,
        metadata=kinds.row(
            "ZATCA_URL",
            "URL",
            kinds.public_url,
            "A proxy instead of the address of that environment.",
        ),
    )
    zatca_exemptions: str | None = field(
        default=None,
        metadata=kinds.row(
            "ZATCA_EXEMPTIONS",
            "text",
            kinds.text,
            "Why lines carry no VAT, by category: Z=VATEX-SA-33,E=VATEX-SA-29.",
        ),
    )
    log_level: str = field(
        default="info",
        metadata=kinds.row(
            "TORIL_LOG_LEVEL",
            ", ".join(LOG_LEVELS),
            kinds.one_of(*LOG_LEVELS),
            "Least level of the log lines of workers and of the web application.",
        ),
    )
    log_format: str = field(
        default="text",
        metadata=kinds.row(
            "TORIL_LOG_FORMAT",
            ", ".join(LOG_FORMATS),
            kinds.one_of(*LOG_FORMATS),
            "Log lines for people, or one JSON object a line.",
        ),
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Path) and value.parts[:1] == ("$TORIL_HOME",):
                object.__setattr__(self, each.name, self.home.joinpath(*value.parts[1:]))

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read all settings; an empty variable counts as not set.

        Raises:
            ConfigurationError: a value is not acceptable; names every such variable.
        """
        settings, problems = cls.read(environ)
        if problems:
            raise ConfigurationError("; ".join(problems))
        return settings

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> tuple[Self, list[str]]:
        """The settings that are acceptable, and a sentence about each that is not."""
        values: dict[str, Any] = {}
        problems = []
        for each, row in _rows(cls):
            if text := environ.get(row.variable, "").strip():
                try:
                    values[each.name] = row.read(text)
                except ValueError as error:
                    shown = "its value" if row.secret else repr(without_password(text))
                    problems.append(f"{row.variable}: {shown} cannot be used: {error}")
        return cls(**values), problems

    def reached_at(self) -> str:
        """Where people reach the web application."""
        return self.public_url or f"http://localhost:{self.port}"

    def secrets(self) -> tuple[str, ...]:
        """The secret of this installation, then those that it replaced.

        The first is the one that is set, else one made now and kept in ``home``.

        Raises:
            ConfigurationError: the file with it cannot be read or written.
        """
        return (self.secret or _kept_secret(self.home / "secret"), *self.secret_previous)

    def __repr__(self) -> str:
        """What is set, with secrets and passwords masked: tracebacks and logs show it."""
        given = ", ".join(f"{name}={text!r}" for name, text in self.shown().items() if text)
        return f"Settings({given})"

    def shown(self) -> dict[str, str]:
        """Each variable's value for people: secrets and passwords masked, empty for what is not set."""
        shown = {}
        for each, row in _rows(self):
            value = getattr(self, each.name)
            text = "" if value is None else without_password(kinds.shown(value))
            shown[row.variable] = "***" if row.secret and text else text
        return shown


def _kept_secret(path: Path) -> str:
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
            try:
                with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(secrets.token_urlsafe(48))
                with contextlib.suppress(FileExistsError):
                    os.link(part, path)  # fails if another process was quicker: then all have the same
            finally:
                part.unlink(missing_ok=True)
        return kinds.secret(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the secret in {path} cannot be used: {error}; set TORIL_SECRET") from error


def _rows(settings: Settings | type[Settings]) -> list[tuple[Field[Any], Setting]]:
    return [(each, each.metadata["setting"]) for each in fields(settings)]


#: All rows, in the order of the reference page, each with the default it has for people.
SETTINGS: Final = tuple(
    row if each.default in (None, ()) else replace(row, unset=str(each.default))
    for each, row in _rows(Settings)
)


def without_password(url: str) -> str:
    """A URL with user and password masked, however badly it is written; other text as it is."""
    return _CREDENTIALS.sub("***@", url)


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that begin like ours but are none, with the setting that was perhaps meant, or ''."""
    known = [row.variable for row in SETTINGS]
    strange = sorted(name for name in environ if name.startswith("TORIL_") and name not in known)
    return {name: next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), "") for name in strange}
