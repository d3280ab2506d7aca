"""The templates: complete in both languages, safe, and what mail programs can show."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.support.email_jobs import TEMPLATE_DATA, PlainJob, template

import toril.queues.email
from toril.errors import PayloadError, UnrecoverableError
from toril.queues.email import OutboxProvider, email_queue
from toril.queues.email.rendering import Rendered, render
from toril.queues.email.template_data import TEMPLATES, template_name

FOLDER = Path(toril.queues.email.__file__).parent / "templates"
FIRM = {
    "firmName": "مكتب <العدل> & شركاه",
    "firmAddress": "طريق الملك فهد، الرياض",
    "firmPhone": "+966 11 234 5678",
    "firmEmail": "office@adl.example",
    "firmUrl": "https://adl.example/contact",
}
QUEUE = email_queue(OutboxProvider("unused"), from_email="o@mail.example.com", from_name="مكتب العدالة")


def rendered(template_id: str, **variables: Any) -> Rendered:
    data = TEMPLATES[template_id].model_validate(
        {k: v for k, v in (TEMPLATE_DATA[template_id] | variables).items() if v is not ...}
    )
    return render(data, firm_name="مكتب العدالة", zone=ZoneInfo("Asia/Riyadh"))


def test_every_template_is_there_in_both_languages() -> None:
    for language in ("ar", "en"):
        assert {path.stem for path in (FOLDER / language).glob("*.html")} == set(TEMPLATES)
    assert set(TEMPLATE_DATA) == set(TEMPLATES)


@pytest.mark.parametrize("language", ["ar", "en"])
@pytest.mark.parametrize("template_id", TEMPLATES)
@pytest.mark.parametrize("least", [False, True], ids=["all variables", "required ones only"])
def test_a_template_makes_a_whole_mail(template_id: str, language: str, least: bool) -> None:
    given: dict[str, Any] = {} if least else dict(FIRM)
    if least:
        optional = {f.alias for f in TEMPLATES[template_id].model_fields.values() if not f.is_required()}
        given = {name: ... for name in TEMPLATE_DATA[template_id] if name in optional}
    made = rendered(template_id, language=language, **given)
    html = made.html
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in html
    assert made.subject
    assert "\n" not in made.subject
    assert "  " not in made.subject
    assert f"<title>{made.subject}</title>" in html or "&" in made.subject
    assert "{{" not in html
    assert "None" not in made.text
    assert made.text.startswith("مكتب")
    preheader = re.search(r'<div style="display:none[^>]*>\s*([^<]+?)(?:&#847;|\u034f)', html)
    assert preheader
    assert len(preheader[1].strip()) > 5
    # Nothing is loaded from elsewhere, and nothing runs.
    assert not re.search(
        r"<(?:script|link|img|iframe|form|object|base)\b|url\(|@import|@font-face", html, re.I
    )
    assert all(link.startswith(("https://", "http://")) for link in re.findall(r'href="([^"]*)"', html))
    # Every tag that is opened is closed, in order.
    visible = re.sub(r"<!--.*?-->|<!doctype[^>]*>|<style>.*?</style>", "", html, flags=re.DOTALL)
    stack: list[str] = []
    for closing, name in re.findall(r"<(/?)([a-z0-9]+)\b[^>]*>", visible):
        if name in ("meta", "br"):
            continue
        if closing:
            assert stack.pop() == name
        else:
            stack.append(name)
    assert stack == []
    # Outlook and webmails drop what is not inline.
    for tag in re.findall(r"<(?:td|p|h1|a|table)\b[^>]*>", visible):
        assert "style=" in tag
    assert len(html.encode()) < 100_000  # Gmail cuts a mail at 102 kB


@pytest.mark.parametrize("language", ["ar", "en"])
@pytest.mark.parametrize("template_id", TEMPLATES)
def test_what_is_given_is_escaped_in_html_and_plain_in_subject_and_text(
    template_id: str, language: str
) -> None:
    nasty = "<script>alert('1')</script> & \"x\""
    model = TEMPLATES[template_id]
    texts = {
        f.alias
        for name, f in model.model_fields.items()
        if f.alias
        and isinstance(TEMPLATE_DATA[template_id].get(f.alias), str)
        and "url" not in name
        and not {"date", "moment", "code", "currency", "at", "hearing", "amount"} & set(name.split("_"))
    }
    made = rendered(template_id, language=language, **dict.fromkeys(texts - {"number"}, nasty))
    assert "<script" not in made.html
    assert "&amp;lt;" not in made.html
    if texts:
        assert "&lt;script&gt;" in made.html
        assert nasty in made.text
    if nasty[:8] in made.subject:
        assert nasty in made.subject


def test_numbers_days_and_times_are_told_in_the_language() -> None:
    made = rendered("invoice")
    assert made.subject == "فاتورة رقم INV-2026-0042 من مكتب العدالة"
    for text in ("17,250.00 ر.س", "6,000.01 ر.س", "2,250.50 ر.س", "31 مارس 2026", "الحوالة أولًا.\nشكرًا."):
        assert text in made.text
    made = rendered("invoice", language="en-US")
    for text in ("SAR 17,250.00", "1 March 2026", "Invoice number:"):
        assert text in made.text
    made = rendered("appointment_reminder")
    assert "الأحد، 12 أبريل 2026\n4:30 مساءً (GMT+3)" in made.text
    made = rendered("appointment_reminder", language="en", startsAt="2026-04-12T08:05:00")
    assert "Sunday, 12 April 2026\n8:05 AM (GMT+3)" in made.text


def test_a_moment_is_the_day_it_is_in_the_queues_zone() -> None:
    made = rendered("invoice_reminder", language="en")
    assert "1 April 2026" in made.text  # 21:00 on 31 March in UTC
    assert "KWD 17,250.000" in made.text


@pytest.mark.parametrize(
    ("minutes", "arabic", "english"),
    [
        (1, "دقيقة واحدة", "1 minute"),
        (2, "دقيقتين", "2 minutes"),
        (10, "10 دقائق", "10 minutes"),
        (11, "11 دقيقة", "11 minutes"),
        (60, "ساعة واحدة", "1 hour"),
        (90, "90 دقيقة", "90 minutes"),
        (180, "3 ساعات", "3 hours"),
        (2880, "يومين", "2 days"),
        (14400, "10 أيام", "10 days"),
        (15840, "11 يومًا", "11 days"),
        (144000, "100 يوم", "100 days"),
    ],
)
def test_counts_have_the_form_their_number_asks_for(minutes: int, arabic: str, english: str) -> None:
    assert f"لمدة {arabic}." in rendered("password_reset", expiresInMinutes=minutes).text
    assert f"valid for {english}." in rendered("password_reset", expiresInMinutes=minutes, language="en").text


@pytest.mark.parametrize("given", ["password_reset", "password-reset", "passwordReset", "PASSWORD-RESET"])
def test_a_template_may_be_named_as_other_code_does(given: str) -> None:
    assert template_name(given) == "password_reset"
    assert template_name("OTP") == "otp"


def with_fields(**fields: Any) -> dict[str, Any]:
    data = template()
    return {**data, "data": {k: v for k, v in (data["data"] | fields).items() if v is not ...}}


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        pytest.param(with_fields(to=...), "to", "required", id="no recipient"),
        pytest.param(with_fields(to=[]), "to", "at least one", id="empty recipients"),
        pytest.param(with_fields(templateId=...), "templateId", "required", id="no template"),
        pytest.param(
            with_fields(templateId="welcom"),
            "templateId",
            "no template 'welcom'; there are welcome",
            id="unknown",
        ),
        pytest.param(with_fields(templateId="../welcome"), "templateId", "no template", id="path"),
        pytest.param(with_fields(templateId=5), "templateId", "valid string", id="number as template"),
        pytest.param(with_fields(templateData=...), "templateData", "required", id="no data"),
        pytest.param(with_fields(templateData="x"), "templateData", "valid dictionary", id="text as data"),
        pytest.param(with_fields(subject="a\nb"), "subject", "U+000A", id="subject injection"),
        pytest.param(with_fields(html="<p>"), "html", "not permitted", id="unknown field"),
        pytest.param(template(name=...), "templateData.name", "required", id="missing variable"),
        pytest.param(template(nmae="x"), "templateData.nmae", "not permitted", id="unknown variable"),
        pytest.param(template(name="a\nb"), "templateData.name", "U+000A", id="line break in a name"),
        pytest.param(template(name=""), "templateData.name", "at least 1", id="empty name"),
        pytest.param(template(name="x" * 201), "templateData.name", "at most 200", id="long name"),
        pytest.param(template(language="fr"), "templateData.language", "'ar' or 'en'", id="language"),
        pytest.param(
            template(loginUrl="javascript:alert(1)"), "templateData.loginUrl", "https://", id="script as link"
        ),
        pytest.param(
            template(loginUrl="https://a b"), "templateData.loginUrl", "https://", id="space in a link"
        ),
        pytest.param(
            template(loginUrl="https://x/" + "a" * 2048), "templateData.loginUrl", "at most", id="long link"
        ),
        pytest.param(template("otp", code="1<b>"), "templateData.code", "pattern", id="code"),
        pytest.param(
            template("otp", expiresInMinutes=0), "templateData.expiresInMinutes", "greater", id="no minutes"
        ),
        pytest.param(template("invoice", dueDate="soon"), "templateData.dueDate", "is not a day", id="day"),
        pytest.param(
            template("invoice", dueDate=1775163600),
            "templateData.dueDate",
            "is not a day",
            id="seconds as a day",
        ),
        pytest.param(
            template("invoice", totalAmount="NaN"), "templateData.totalAmount", "finite", id="not a number"
        ),
        pytest.param(
            template("invoice", totalAmount=-1), "templateData.totalAmount", "greater", id="negative"
        ),
        pytest.param(template("invoice", totalAmount=10**12), "templateData.totalAmount", "less", id="huge"),
        pytest.param(
            template("invoice", currency="riyal"), "templateData.currency", "pattern", id="currency"
        ),
        pytest.param(
            template("invoice", items=[{"description": "x"}]),
            "templateData.items.0.amount",
            "required",
            id="line",
        ),
        pytest.param(
            template("invoice", items=[{"description": "x", "amount": 1}] * 51),
            "templateData.items",
            "at most 50",
            id="lines",
        ),
        pytest.param(
            template("case_update", update="x" * 5001), "templateData.update", "at most 5000", id="long text"
        ),
        pytest.param(
            template("case_update", nextHearing="tomorrow"),
            "templateData.nextHearing",
            "is not a time",
            id="time",
        ),
    ],
)
def test_bad_data_is_named_with_its_path(data: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        QUEUE.check(data)
    assert caught.value.field == path
    assert f"{path}: " in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("template_id", TEMPLATES)
def test_each_required_variable_is_missed_by_its_name(template_id: str) -> None:
    for field in TEMPLATES[template_id].model_fields.values():
        if field.is_required():
            with pytest.raises(PayloadError, match=f"templateData.{field.alias}: Field required"):
                QUEUE.check(template(template_id, **{str(field.alias): ...}))


async def test_a_job_sends_the_template_and_returns_the_contract(tmp_path: Path) -> None:
    outbox = OutboxProvider(tmp_path)
    queue = email_queue(outbox, from_email="o@mail.example.com", from_name="مكتب العدالة")
    job = PlainJob(with_fields(templateId="welcome", to=["Sara <sara@example.com>", "b@example.com"]), id="5")
    result = await queue.process(job)
    assert result == {
        "success": True,
        "messageId": "<email_5_1@mail.example.com>",
        "templateId": "welcome",
        "to": ["Sara <sara@example.com>", "b@example.com"],
    }
    assert job.progress == [10, 50, 100]
    assert await queue.process(job) == result
    [stored] = await outbox.list()
    assert stored.subject == "أهلًا بكم في مكتب العدالة"
    message = message_from_bytes(await outbox.read(stored.id), policy=default)
    plain, html = message.iter_parts()  # type: ignore[attr-defined]
    assert "الدخول إلى الحساب (https://app.example.com/login?a=1&b=2)" in plain.get_content()
    assert 'href="https://app.example.com/login?a=1&amp;b=2"' in html.get_content()


async def test_a_subject_of_the_jobs_own_is_used(tmp_path: Path) -> None:
    outbox = OutboxProvider(tmp_path)
    await email_queue(outbox, from_email="o@example.com").process(PlainJob(with_fields(subject="Good news")))
    [stored] = await outbox.list()
    assert stored.subject == "Good news"


async def test_bad_data_from_elsewhere_fails_at_once(tmp_path: Path) -> None:
    queue = email_queue(OutboxProvider(tmp_path), from_email="o@example.com")
    with pytest.raises(UnrecoverableError, match=r"templateData\.loginUrl: Field required"):
        await queue.process(PlainJob(template(loginUrl=...)))
    assert await OutboxProvider(tmp_path).list() == []
