"""Signatures of webhooks by the Standard Webhooks scheme, checked by its own package; and keys of Web Push."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from standardwebhooks import Webhook, WebhookVerificationError

from toril.errors import ConfigurationError
from toril.queues.notification import (
    WebhookSigner,
    choose_signer,
    choose_sms_provider,
    choose_vapid,
    new_keys,
    new_secret,
)

#: Bytes 0 to 23.
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"


ORIGIN, OTHER = "https://hooks.client.example", "https://hooks.other.example"


def test_a_known_signature_comes_out() -> None:
    # Written down once, since a receiver keeps its secret: another derivation would be refused everywhere.
    signer = WebhookSigner([SECRET])
    assert signer.secret(ORIGIN) == "whsec_QdVLdb0N+ZdZcpCq8W+9wB2BZJzbwHHDvILa6JenlHk="
    headers = signer.headers("msg_1", timestamp=1700000000, body=b'{"a":1}', origin=ORIGIN)
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,tf77Fefo7IC1quCPSr6OvUl+MCTye4BYzegEYrBDmjU=",
    }


@pytest.mark.parametrize("body", [b"{}", '{"نص":"مرحبا"}'.encode()])
def test_a_receiver_with_the_reference_package_accepts_it(body: bytes) -> None:
    signer = WebhookSigner([new_secret()])
    receiver = Webhook(signer.secret(ORIGIN))
    now = int(datetime.now(UTC).timestamp())
    headers = signer.headers("msg_17-1732400000000", timestamp=now, body=body, origin=ORIGIN)
    assert receiver.verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body, headers | {"webhook-id": "msg_18"})


@pytest.mark.parametrize(
    "other", [OTHER, "http://hooks.client.example", f"{ORIGIN}:8443", "https://client.example"]
)
def test_what_one_receiver_knows_signs_nothing_for_another(other: str) -> None:
    secret = new_secret()
    signer = WebhookSigner([secret])
    now = int(datetime.now(UTC).timestamp())
    forged = WebhookSigner([signer.secret(ORIGIN)]).headers("msg_1", timestamp=now, body=b"{}", origin=other)
    genuine = signer.headers("msg_1", timestamp=now, body=b"{}", origin=ORIGIN)
    for headers in (forged, genuine):
        with pytest.raises(WebhookVerificationError):
            Webhook(signer.secret(other)).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b"{}", genuine)  # the installation's own is nobody's


def test_while_a_secret_is_replaced_both_verify() -> None:
    old, new = new_secret(), new_secret()
    signer = choose_signer(f"{new} {old}")
    assert signer is not None
    now = int(datetime.now(UTC).timestamp())
    headers = signer.headers("msg_1", timestamp=now, body=b"{}", origin=ORIGIN)
    for secret in (old, new):
        Webhook(WebhookSigner([secret]).secret(ORIGIN)).verify(b"{}", headers)
    assert signer.secret(ORIGIN) == WebhookSigner([new]).secret(ORIGIN)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(b"{}", headers)


def test_a_secret_is_32_random_bytes() -> None:
    made = {new_secret() for _ in range(3)}
    assert len(made) == 3
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"))) == 32 for secret in made)


@pytest.mark.parametrize(
    "secret",
    [
        "Tr0ub4dor",
        "whsec_",
        "whsec_!!!!",
        "whsec_AAECAwQFBgc=",
        "whsec_" + base64.b64encode(bytes(65)).decode(),
    ],
)
def test_a_secret_of_another_form_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="WEBHOOK_SECRET") as caught:
        WebhookSigner([secret])
    assert secret.removeprefix("whsec_") not in str(caught.value) or secret == "whsec_"


def test_without_a_secret_nothing_is_signed() -> None:
    assert choose_signer(None) is None
    assert choose_signer(" ") is None


def test_a_push_service_can_verify_whose_message_it_is() -> None:
    public, private = new_keys()
    vapid = choose_vapid(public_key=public, private_key=private, contact="Office <push@firm.example>")
    assert vapid is not None
    header = vapid.header("https://push.example.com:8443")
    scheme, _, parts = header.partition(" ")
    token, key = (part.partition("=")[2] for part in parts.split(","))
    assert (scheme, key) == ("vapid", public)
    signed, _, signature = token.rpartition(".")
    claims = json.loads(_decode(signed.split(".")[1]))
    assert (claims["aud"], claims["sub"]) == ("https://push.example.com:8443", "mailto:push@firm.example")
    assert 0 < claims["exp"] - datetime.now(UTC).timestamp() <= 86400
    raw = _decode(signature)
    point = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), _decode(public))
    halves = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    point.verify(encode_dss_signature(*halves), signed.encode(), ECDSA(hashes.SHA256()))


def test_each_push_service_gets_a_header_of_its_own() -> None:
    public, private = new_keys()
    vapid = choose_vapid(public_key=public, private_key=private, contact="a@firm.example")
    assert vapid is not None
    audiences = [
        json.loads(_decode(vapid.header(origin).partition("t=")[2].split(".")[1]))["aud"]
        for origin in ("https://a.example", "https://b.example")
    ]
    assert audiences == ["https://a.example", "https://b.example"]


def test_keys_that_cannot_work_are_refused_at_the_start_without_being_shown() -> None:
    public, private = new_keys()
    other, _ = new_keys()
    good = {"public_key": public, "private_key": private, "contact": "a@firm.example"}
    for changes, reason in (
        ({"public_key": None}, "needs VAPID_PUBLIC_KEY too"),
        ({"private_key": None}, "needs VAPID_PRIVATE_KEY too"),
        ({"contact": None}, "needs CONTACT_EMAIL too"),
        ({"contact": "office"}, "must be an e-mail address"),
        ({"public_key": "AAAA"}, "VAPID_PUBLIC_KEY must be 65 bytes"),
        ({"private_key": "not base64!"}, "VAPID_PRIVATE_KEY must be 32 bytes"),
        ({"private_key": "A" * 43}, "out of range"),
        ({"public_key": other}, "not of one pair"),
    ):
        with pytest.raises(ConfigurationError, match=reason) as caught:
            choose_vapid(**{**good, **changes})  # type: ignore[arg-type]
        assert private not in str(caught.value)
    assert choose_vapid(public_key=None, private_key=None, contact="a@firm.example") is None


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ("unifonic", "UNIFONIC_APP_SID is empty"),
        ("taqnyat", "TAQNYAT_TOKEN is empty"),
        ("twilio", "TWILIO_ACCOUNT_SID must be"),
        ("pigeon", "there are unifonic, taqnyat, twilio and log"),
    ],
)
def test_a_provider_without_its_credentials_is_refused_at_the_start(provider: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        choose_sms_provider(provider, outbox="unused")


def test_without_a_provider_sms_are_written_to_a_folder() -> None:
    assert choose_sms_provider(outbox="unused").name == "log"


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
