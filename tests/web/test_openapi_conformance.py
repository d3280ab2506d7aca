"""The running application against its own description, with requests that Schemathesis makes of it.

``TORIL_FUZZ_EXAMPLES=200 pytest tests/web/test_openapi_conformance.py`` tries more of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tests.support.api_schema import check_any_answer
from tests.support.api_thread import ServedOffice, serve_office
from tests.support.queue_api import SECRET
from tests.support.servers import RedisServer
from tests.web.application_endpoints import SETTINGS

from toril.db.ids import new_id
from toril.db.models import Role
from toril.settings import Settings
from toril.web import create_app

#: The served application draws random numbers in its thread while Hypothesis chooses; that changes nothing here.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

EXAMPLES = int(os.environ.get("TORIL_FUZZ_EXAMPLES", "4"))


@pytest.fixture(scope="module")
def site(
    start_server: Callable[[str], RedisServer], firm_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedOffice]:
    home = tmp_path_factory.mktemp("office") / "home"
    shutil.copytree(firm_home, home)
    with serve_office(start_server("valkey").url, f"t{new_id()}", home, **SETTINGS) as opened:
        yield opened


#: Live events have no end; they have tests of their own.
DESCRIPTION = schemathesis.openapi.from_dict(
    create_app(Settings(home=Path("unused"), secret=SECRET)).openapi()
).exclude(path="/api/queues/{name}/events")

#: What an answer must be; ``ignored_auth`` sends the request again without the token.
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    unsupported_method,
    ignored_auth,
]


tried = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(900)
@DESCRIPTION.parametrize()
@tried
def test_an_administrator_gets_only_what_is_described(case: schemathesis.Case, site: ServedOffice) -> None:
    send_and_check(case, site, "root")


@pytest.mark.timeout(900)
@DESCRIPTION.parametrize()
@tried
def test_a_lawyer_gets_only_what_is_described(case: schemathesis.Case, site: ServedOffice) -> None:
    send_and_check(case, site, "lawyer")


def send_and_check(case: schemathesis.Case, site: ServedOffice, who: str) -> None:
    token = site.token_of(who)
    if case.path == "/api/auth/logout":  # it ends what the other calls need
        token = site.run(site.api.token(Role.ADMIN))
    headers = {"Authorization": f"Bearer {token}"}
    response = case.call(base_url=site.url, headers=headers, timeout=20, allow_redirects=False)
    check_any_answer(plain(response))
    case.validate_response(response, checks=CHECKS, headers=headers)


def plain(response: schemathesis.Response) -> httpx.Response:
    """The answer as other tests have it."""
    headers = [(name, value) for name, values in response.headers.items() for value in values]
    request = httpx.Request(response.request.method or "GET", response.request.url or "")
    return httpx.Response(response.status_code, headers=headers, content=response.content, request=request)
