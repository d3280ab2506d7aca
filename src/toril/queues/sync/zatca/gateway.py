"""ZATCA's gateway (Fatoora): the requests of onboarding, clearance and reporting."""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson

from toril.db.models.zatca import ZatcaEnvironment
from toril.errors import NotConfiguredError
from toril.queues.sync.http import VendorClient
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.zatca.credentials import ZatcaCredentials
from toril.queues.sync.zatca.signature import SignedDocument

_HOST: Final = "https://gw-fatoora.zatca.gov.sa/e-invoicing"
BASE_URLS: Final = {
    ZatcaEnvironment.SANDBOX: f"{_HOST}/developer-portal",
    ZatcaEnvironment.SIMULATION: f"{_HOST}/simulation",
    ZatcaEnvironment.PRODUCTION: f"{_HOST}/core",
}
#: Name of the certificate template that goes into a request for a certificate.
CERTIFICATE_TEMPLATES: Final = {
    ZatcaEnvironment.SANDBOX: "TSTZATCA-Code-Signing",
    ZatcaEnvironment.SIMULATION: "PREZATCA-Code-Signing",
    ZatcaEnvironment.PRODUCTION: "ZATCA-Code-Signing",
}


class ZatcaGateway:
    """The gateway of one environment. Every method returns the answer as it came; ``verdict`` says what it means.

    Args:
        base_url: instead of the environment's own, for a proxy or a test.
        read_timeout: seconds for one read; the gateway takes half a minute at times.
        total_timeout: seconds for one request in all, less than the job's own limit.
    Raises:
        ConfigurationError: ``base_url`` is not acceptable.
    """

    def __init__(
        self,
        environment: ZatcaEnvironment,
        *,
        base_url: str | None = None,
        read_timeout: float = 45.0,
        total_timeout: float = 50.0,
    ) -> None:
        self.environment = environment
        self.total_timeout = total_timeout
        self._client = VendorClient(
            "ZATCA",
            base_url or BASE_URLS[environment],
            headers={"Accept-Version": "V2", "Accept-Language": "en", "Content-Type": "application/json"},
            read_timeout=read_timeout,
            total_timeout=total_timeout,
        )

    def require_own(self, credentials: ZatcaCredentials) -> None:
        """Refuse credentials of another environment.

        Raises:
            NotConfiguredError: they are.
        """
        if credentials.environment is not self.environment:
            raise NotConfiguredError(
                f"ZATCA: the firm's credentials are for {credentials.environment}, and this installation sends to "
                f"{self.environment}. Onboard the firm there"
            )

    async def clear(self, document: SignedDocument, uuid: str, credentials: ZatcaCredentials) -> VendorAnswer:
        """Ask for the clearance of a standard document.

        Raises:
            NotSentError: it was not sent.
            RetryableError: it was sent, and no answer came. Sending the same document again is safe.
            NotConfiguredError: the credentials cannot be sent.
        """
        return await self._send(
            "clearance", "/invoices/clearance/single", document, uuid, credentials, clearance="1"
        )

    async def report(
        self, document: SignedDocument, uuid: str, credentials: ZatcaCredentials
    ) -> VendorAnswer:
        """Report a document; raises as ``clear``."""
        return await self._send(
            "reporting", "/invoices/reporting/single", document, uuid, credentials, clearance="0"
        )

    async def check(self, document: SignedDocument, uuid: str, credentials: ZatcaCredentials) -> VendorAnswer:
        """Have a sample looked at, with compliance credentials; raises as ``clear``."""
        return await self._send("the check of a sample", "/compliance/invoices", document, uuid, credentials)

    async def compliance_csid(self, csr: str, *, otp: str) -> VendorAnswer:
        """Ask for a compliance certificate.

        Args:
            csr: PEM.
            otp: the six digits from the taxpayer's portal.
        """
        return await self._client.request(
            "POST",
            "/compliance",
            operation="the request for a compliance certificate",
            repeatable=False,
            secret_headers={"OTP": otp},
            content=_csr_body(csr),
        )

    async def production_csid(self, request_id: str, compliance: ZatcaCredentials) -> VendorAnswer:
        """Ask for the production certificate, once all samples passed."""
        return await self._client.request(
            "POST",
            "/production/csids",
            operation="the request for a production certificate",
            repeatable=False,
            content=orjson.dumps({"compliance_request_id": request_id}),
            **_access(compliance),
        )

    async def renew(self, csr: str, *, otp: str, credentials: ZatcaCredentials) -> VendorAnswer:
        """Ask for a new production certificate with the one that is about to expire."""
        access = _access(credentials)
        access["secret_headers"] |= {"OTP": otp}
        return await self._client.request(
            "PATCH",
            "/production/csids",
            operation="the renewal of the certificate",
            repeatable=False,
            content=_csr_body(csr),
            **access,
        )

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        await self._client.close()

    async def _send(
        self,
        operation: str,
        path: str,
        document: SignedDocument,
        uuid: str,
        credentials: ZatcaCredentials,
        *,
        clearance: str | None = None,
    ) -> VendorAnswer:
        # The same document makes the same bytes; that is how the gateway knows one it has had.
        invoice = base64.b64encode(document.xml.encode()).decode()
        body = {"invoiceHash": document.hash, "uuid": uuid, "invoice": invoice}
        return await self._client.request(
            "POST",
            path,
            operation=operation,
            repeatable=True,
            headers={} if clearance is None else {"Clearance-Status": clearance},
            content=orjson.dumps(body),
            **_access(credentials),
        )


def _access(credentials: ZatcaCredentials) -> dict[str, Any]:
    pair = base64.b64encode(f"{credentials.token}:{credentials.secret}".encode()).decode()
    return {
        "secret_headers": {"Authorization": f"Basic {pair}"},
        "secrets": (credentials.token, credentials.secret),
    }


def _csr_body(csr: str) -> bytes:
    return orjson.dumps({"csr": base64.b64encode(csr.encode()).decode()})
