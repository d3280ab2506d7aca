"""Settings: read from the environment, checked, masked."""

from __future__ import annotations

from pathlib import Path

import pytest

from toril.errors import ConfigurationError
from toril.settings import SETTINGS, Settings, unknown_variables, without_password


def test_nothing_is_required() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.redis_url is None
    assert (settings.prefix, settings.port, settings.timezone) == ("bull", 8080, "Asia/Riyadh")
    assert settings.files_path == Path(".toril/files")
    assert settings.outbox_path == Path(".toril/outbox")


def test_folders_are_in_the_home_unless_they_are_set() -> None:
    settings = Settings.from_env({"TORIL_HOME": "/srv/toril", "TORIL_OUTBOX": "/srv/mail"})
    assert settings.files_path == Path("/srv/toril/files")
    assert settings.outbox_path == Path("/srv/mail")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_env({"PORT": "", "REDIS_URL": "  "}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "८"),
        ("REDIS_URL", "localhost:6379"),
        ("DATABASE_URL", "mysql://localhost/app"),
        ("SMTP_URL", "mail.example.com"),
        ("FROM_EMAIL", "office"),
        ("CONTACT_EMAIL", "a@b c"),
        ("TORIL_TIMEZONE", "Asia/Atlantis"),
        ("TORIL_TIMEZONE", "../../etc/passwd"),
        ("TORIL_PREFIX", "bull*"),
        ("TORIL_LOG_LEVEL", "loud"),
        ("TORIL_LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable}: .* cannot be used: it must"):
        Settings.from_env({variable: value})


def test_all_bad_values_are_told_at_once_and_the_good_ones_kept() -> None:
    settings, problems = Settings.read({"PORT": "x", "TORIL_TIMEZONE": "y", "FROM_NAME": "Office"})
    assert [problem.partition(":")[0] for problem in problems] == ["PORT", "TORIL_TIMEZONE"]
    assert (settings.port, settings.from_name) == (8080, "Office")


@pytest.mark.parametrize("value", ["postgresql://u:p@h/db", "postgresql+asyncpg://h/db", "sqlite:///app.db"])
def test_database_urls_may_name_a_driver(value: str) -> None:
    assert Settings.from_env({"DATABASE_URL": value}).database_url == value


@pytest.mark.parametrize("value", ["office@example.com", "Office <office@example.com>"])
def test_a_sender_may_have_a_name(value: str) -> None:
    assert Settings.from_env({"FROM_EMAIL": value}).from_email == value


def test_secrets_and_passwords_are_never_shown() -> None:
    environ = {
        "REDIS_URL": "redis://u:hidden@h/0",
        "REDIS_PASSWORD": "hidden",
        "DATABASE_URL": "postgresql://u:hid/den@h/db",
        "SMTP_URL": "smtps://hidden@h",
        "RESEND_API_KEY": "hidden",
        "VAPID_PRIVATE_KEY": "hidden",
    }
    shown = Settings.from_env(environ).shown()
    assert not [value for value in shown.values() if "hid" in value]
    assert shown["REDIS_URL"] == "redis://***@h/0"
    assert shown["RESEND_API_KEY"] == "***"
    assert shown["VAPID_PUBLIC_KEY"] == ""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({"REDIS_URL": "http://u:hidden@h"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:p@localhost", "redis://***@localhost"),
        ("redis://u:p/q@r@localhost/0", "redis://***@localhost/0"),
        ("not a URL", "not a URL"),
    ],
)
def test_passwords_are_masked_in_urls(url: str, masked: str) -> None:
    assert without_password(url) == masked


def test_variables_that_look_like_settings_are_found() -> None:
    environ = {"TORIL_OUTBUX": "x", "TORIL_WHATEVER": "y", "TORIL_HOME": "z", "PATH": ""}
    assert unknown_variables(environ) == {"TORIL_OUTBUX": "TORIL_OUTBOX", "TORIL_WHATEVER": ""}


def test_no_two_settings_share_a_variable() -> None:
    assert len({row.variable for row in SETTINGS}) == len(SETTINGS)
