"""Mails from templates as a browser shows them, on a phone and on a screen."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.email_jobs import TEMPLATE_DATA
from tests.support.pdf_jobs import chromium

from toril.queues.email.mailer import RIYADH
from toril.queues.email.rendering import render
from toril.queues.email.template_data import TEMPLATES

#: What people write; paths and addresses in it have no place to break a line.
WRITTEN = {
    "name", "clientName", "invoiceNumber", "notes", "paymentMethod", "reference", "caseNumber", "caseTitle", "update",
    "status", "court", "title", "location", "lawyerName", "reportName", "message", "queue", "jobId", "failedReason",
}  # fmt: skip
LONG = "/srv/" + "x" * 150


def html_of(template_id: str, language: str) -> str:
    data: dict[str, Any] = TEMPLATE_DATA[template_id] | {"language": language, "firmName": f"مكتب {LONG}"}
    data |= dict.fromkeys(data.keys() & WRITTEN, LONG)
    if template_id == "invoice":
        data["items"] = [{"description": LONG, "amount": 99_999_999_999}]
    return render(TEMPLATES[template_id].model_validate(data), firm_name="", zone=RIYADH).html


@pytest.mark.parametrize("width", [360, 800])
async def test_long_words_do_not_make_a_mail_wider_than_its_window(width: int) -> None:
    executable = chromium()
    from playwright.async_api import async_playwright

    wide = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": width, "height": 800})
        for language in ("ar", "en"):
            for template_id in TEMPLATES:
                await page.set_content(html_of(template_id, language))
                if (found := await page.evaluate("document.documentElement.scrollWidth")) > width:
                    wide.append((template_id, language, found))
        await browser.close()
    assert wide == []
