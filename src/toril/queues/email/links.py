"""What a campaign's HTML gets before it leaves: links by way of us, the open pixel, and a way out."""

from __future__ import annotations

import re
from html import escape, unescape
from urllib.parse import quote, urlsplit, urlunsplit

import idna

from toril.queues.email.fields import MAX_URL
from toril.queues.email.markup import ATTRIBUTE, tokens
from toril.queues.email.text import html_to_text
from toril.queues.email.tracking import TrackedMail, Tracker, leads_to_the_web

#: Where a mail may show the link itself; without it, one is put at the end.
_PLACE = re.compile(r"\{\{\s*unsubscribe(?:_url|Url)\s*\}\}")
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_KEPT = "%/:?#[]@!$&'()*+,;=~"  # in URLs: what has its meaning, or is encoded already
_IGNORED = re.compile(r"[\t\r\n]")  # browsers drop these from a URL (URL standard, basic parser)

_WAY_OUT = (
    '<div style="padding:18px 12px;text-align:center;font-family:Tahoma,Arial,sans-serif;font-size:12px;'
    'line-height:18px;color:#64748b"><a href="{url}" style="color:#64748b;text-decoration:underline">'
    "إلغاء الاشتراك · Unsubscribe</a></div>"
)
_PIXEL = '<img src="{url}" alt="" width="1" height="1" style="display:block;width:1px;height:1px;border:0">'


def campaign_bodies(html: str, tracker: Tracker, mail: TrackedMail) -> tuple[str, str]:
    """The HTML and the text of a campaign's mail.

    The text keeps the links as they were: readers of plain text see where they lead, and are not counted.
    """
    way_out = escape(tracker.unsubscribe_url(mail), quote=True)
    with_way_out, places = _PLACE.subn(lambda _: way_out, html)
    footer = "" if places else _WAY_OUT.format(url=way_out)
    pixel = _PIXEL.format(url=escape(tracker.open_url(mail), quote=True))
    tracked = _PLACE.sub(lambda _: way_out, track_links(html, tracker, mail))
    return _before_end(tracked, footer + pixel), html_to_text(_before_end(with_way_out, footer))


def track_links(html: str, tracker: Tracker, mail: TrackedMail) -> str:
    """``html`` with each link to a web page leading there by way of ``tracker``.

    Only ``href`` of ``a`` and ``area`` changes, all else is copied as it is. Links to mail addresses, phone
    numbers, places in the mail and anything else that is no web page stay.
    """
    pieces: list[str] = []
    copied = 0
    for kind, name, content, at in tokens(html):
        if kind != "start" or name not in ("a", "area"):
            continue
        for found in ATTRIBUTE.finditer(content):
            if found[1].lower() != "href":
                continue
            target = _web_page(found[2] or found[3] or found[4] or "")
            if target is not None and leads_to_the_web(target):
                url = escape(tracker.click_url(mail, target), quote=True)
                pieces += (html[copied : at + found.start()], f'href="{url}"')
                copied = at + found.end()
            break  # of an attribute given twice, the first counts
    return "".join((*pieces, html[copied:]))


def _web_page(written: str) -> str | None:
    """Where a link leads, as an ASCII URL with its query and fragment; None if that is no web page."""
    text = _IGNORED.sub("", unescape(written)).strip()
    if not re.match(r"https?://", text, re.IGNORECASE) or len(text) > MAX_URL:
        return None
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        netloc = parts.netloc
        if not host.isascii():
            netloc = netloc.lower().replace(host, idna.encode(host, uts46=True).decode("ascii"))
        _ = parts.port  # raises when it is none
        path, query, fragment = (
            quote(part, safe=_KEPT) for part in (parts.path, parts.query, parts.fragment)
        )
    except (ValueError, UnicodeError):
        return None
    if not host or not netloc.isascii():
        return None
    return urlunsplit((parts.scheme.lower(), netloc, path, query, fragment))


def _before_end(html: str, addition: str) -> str:
    """``html`` with ``addition`` as the last of its body."""
    ends = list(_BODY_END.finditer(html))
    at = ends[-1].start() if ends else len(html)
    return f"{html[:at]}{addition}{html[at:]}"
