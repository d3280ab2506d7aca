"""A firm's credentials in their folder, and the requests for certificates."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID, ObjectIdentifier

from toril.db.errors import RecordValueError
from toril.db.models import ZatcaKind
from toril.errors import ConfigurationError, NotConfiguredError, OptionError
from toril.queues.sync.zatca import CredentialFolder, Unit, ZatcaCredentials, ZatcaEnvironment
from toril.queues.sync.zatca.csr import make_csr, make_key

FIRM, OTHER = "507f1f77bcf86cd799439011", "507f1f77bcf86cd799439012"
KEY = "a secret of thirty-two characters or more"
CREDENTIALS = ZatcaCredentials(
    environment=ZatcaEnvironment.SANDBOX,
    token="dG9rZW4=",
    secret="hidden/secret+",
    private_key="-----BEGIN PRIVATE KEY-----",
    request_id="1234567890123",
)


async def test_credentials_come_back_as_they_were_stored(tmp_path: Path) -> None:
    folder = CredentialFolder(tmp_path / "zatca", KEY)
    assert await folder.get(FIRM) is None
    await folder.put(FIRM, CREDENTIALS)
    assert await CredentialFolder(tmp_path / "zatca", KEY).get(FIRM.upper()) == CREDENTIALS
    assert await folder.get(OTHER) is None


async def test_files_are_encrypted_and_their_owners_own(tmp_path: Path) -> None:
    folder = CredentialFolder(tmp_path / "zatca", KEY)
    await folder.put(FIRM, CREDENTIALS)
    await folder.put(FIRM, CREDENTIALS)
    [file] = (tmp_path / "zatca").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    stored = file.read_bytes()
    for secret in (CREDENTIALS.token, CREDENTIALS.secret, "PRIVATE KEY"):
        assert secret.encode() not in stored


async def test_another_key_another_firms_file_and_a_damaged_one_do_not_open(tmp_path: Path) -> None:
    folder = CredentialFolder(tmp_path, KEY)
    await folder.put(FIRM, CREDENTIALS)
    file = tmp_path / f"{FIRM}.zatca"
    with pytest.raises(NotConfiguredError, match="do not open"):
        await CredentialFolder(tmp_path, KEY[::-1]).get(FIRM)
    (tmp_path / f"{OTHER}.zatca").write_bytes(file.read_bytes())
    with pytest.raises(NotConfiguredError, match="do not open"):
        await folder.get(OTHER)
    for damaged in (b"", file.read_bytes()[:-1], b"x" * 200):
        file.write_bytes(damaged)
        with pytest.raises(NotConfiguredError, match="do not open"):
            await folder.get(FIRM)


async def test_a_firms_id_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(RecordValueError):
        await CredentialFolder(tmp_path, KEY).get("../../etc/passwd")


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at least 32 characters"):
        CredentialFolder(tmp_path, "short")


def test_credentials_do_not_show_their_secrets() -> None:
    assert "secret" not in repr(CREDENTIALS)
    assert "PRIVATE" not in repr(CREDENTIALS)


def a_unit(**values: Any) -> Unit:
    defaults = {
        "vat_number": "399999999900003",
        "organisation": "مكتب الميزان",
        "branch": "الرياض",
        "name": "TORIL-1",
        "location": "RRRD2929",
        "industry": "Legal services",
        "serial": "1-Toril|2-1|3-42",
    }
    return Unit(**(defaults | values))


@pytest.mark.parametrize(
    ("environment", "template"),
    [
        ("sandbox", "TSTZATCA-Code-Signing"),
        ("simulation", "PREZATCA-Code-Signing"),
        ("production", "ZATCA-Code-Signing"),
    ],
)
def test_a_request_for_a_certificate_says_who_and_where(environment: str, template: str) -> None:
    key = make_key()
    csr = x509.load_pem_x509_csr(make_csr(a_unit(), key, ZatcaEnvironment(environment)).encode())
    private_key = serialization.load_pem_private_key(key.encode(), password=None)
    assert csr.is_signature_valid
    assert csr.public_key() == private_key.public_key()
    assert csr.public_key().curve.name == "secp256k1"  # type: ignore[union-attr]
    assert csr.subject.rfc4514_string() == "CN=TORIL-1,O=مكتب الميزان,OU=الرياض,C=SA"
    extensions = {extension.oid.dotted_string: extension.value for extension in csr.extensions}
    assert extensions["1.3.6.1.4.1.311.20.2"].value == bytes((0x0C, len(template))) + template.encode()
    [unit] = extensions["2.5.29.17"].get_values_for_type(x509.DirectoryName)
    assert {attribute.oid: attribute.value for attribute in unit} == {
        NameOID.SURNAME: "1-Toril|2-1|3-42",
        NameOID.USER_ID: "399999999900003",
        NameOID.TITLE: "1100",
        ObjectIdentifier("2.5.4.26"): "RRRD2929",
        NameOID.BUSINESS_CATEGORY: "Legal services",
    }


def test_a_unit_says_what_it_issues() -> None:
    assert a_unit(kinds=(ZatcaKind.STANDARD,)).title == "1000"
    assert a_unit(kinds=(ZatcaKind.SIMPLIFIED,)).title == "0100"
    assert Unit(
        **{name: getattr(a_unit(), name) for name in Unit.__slots__ if name != "serial"}
    ).serial.startswith("1-Toril|2-")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"vat_number": "1"}, "15 digits"),
        ({"organisation": ""}, "organisation"),
        ({"name": "x" * 65}, "1 to 64 characters"),
        ({"location": "a<b"}, "location"),
        ({"vat_number": "300000000010003"}, "10-digit TIN"),
        ({"kinds": ()}, "standard documents, simplified ones or both"),
    ],
)
def test_a_unit_that_would_be_refused_is_refused_here(values: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        a_unit(**values)
