"""``toril webhooks``: what receivers verify our calls with."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.cli import Toril

from toril.queues.notification import WebhookSigner, new_secret

SECRET = new_secret()


@pytest.fixture
def toril(tmp_path: Path) -> Toril:
    return Toril(
        tmp_path, {"WEBHOOK_SECRET": f"{SECRET} {new_secret()}", "TORIL_HOME": str(tmp_path / "home")}
    )


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://hooks.client.example", "https://hooks.client.example"),
        ("HTTPS://Hooks.Client.Example:443/in?key=1", "https://hooks.client.example"),
        ("https://hooks.client.example:8443/", "https://hooks.client.example:8443"),
        ("http://10.0.0.7:8080/in", "http://10.0.0.7:8080"),
    ],
)
async def test_a_receivers_secret_is_the_one_its_calls_are_signed_with(
    toril: Toril, url: str, origin: str
) -> None:
    secret = WebhookSigner([SECRET]).secret(origin)
    assert (await toril("webhooks", "secret", url)).out.strip() == secret
    assert (await toril("webhooks", "secret", url, "--json")).json == {"origin": origin, "secret": secret}


@pytest.mark.parametrize(
    "url", ["hooks.client.example", "https://u:p@hooks.client.example/", "ftp://a.example/"]
)
async def test_what_is_no_receivers_address_is_refused(toril: Toril, url: str) -> None:
    answer = await toril("webhooks", "secret", url)
    assert (answer.code, answer.out) == (2, "")
    assert "the address" in answer.err


async def test_without_a_secret_of_the_installation_there_is_none(tmp_path: Path) -> None:
    answer = await Toril(tmp_path, {"TORIL_HOME": str(tmp_path / "home")})(
        "webhooks", "secret", "https://a.example"
    )
    assert (answer.code != 0, answer.out) == (True, "")
    assert "WEBHOOK_SECRET" in answer.err
