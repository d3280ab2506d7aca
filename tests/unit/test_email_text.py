"""Plain text from HTML."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toril.queues.email.text import html_to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        pytest.param("<p>One</p><p>Two</p>", "One\n\nTwo", id="paragraphs"),
        pytest.param("<div>One</div><div>Two</div>", "One\nTwo", id="blocks"),
        pytest.param("One<br>Two<br/><br>Three", "One\nTwo\n\nThree", id="line breaks"),
        pytest.param("a \n  b\t c", "a b c", id="white space"),
        pytest.param("Tom &amp; Ali &#8211; 5&nbsp;&lt; 6 &copy;", "Tom & Ali – 5 < 6 ©", id="entities"),
        pytest.param("<b>bo</b>ld <i>it</i>", "bold it", id="inline"),
        pytest.param("1 < 2 and <3", "1 < 2 and <3", id="bare less-than"),
        pytest.param("<h1>Title</h1>Body", "Title\n\nBody", id="heading"),
        pytest.param("<ul><li>One</li><li>Two</li></ul>", "- One\n- Two", id="bullets"),
        pytest.param("<ul><li>One<li>Two</ul>end", "- One\n- Two\n\nend", id="open items"),
        pytest.param('<ol start="3"><li>a</li><li>b</li></ol>', "3. a\n4. b", id="numbers"),
        pytest.param(
            "<ul><li>One<ol><li>a</li><li>b</li></ol></li><li>Two</li></ul>",
            "- One\n  1. a\n  2. b\n- Two",
            id="nested lists",
        ),
        pytest.param("<ul><li>One<br>more</li></ul>", "- One\n  more", id="item of two lines"),
        pytest.param(
            '<a href="https://x.example/a?b=1&amp;c=2">Pay</a>',
            "Pay (https://x.example/a?b=1&c=2)",
            id="link",
        ),
        pytest.param(
            '<a href="https://x.example/">x.example</a>', "x.example", id="link that shows its target"
        ),
        pytest.param('<a href="mailto:a@b.example">a@b.example</a>', "a@b.example", id="mail link"),
        pytest.param('<a href="tel:+966500000000">Call</a>', "Call (tel:+966500000000)", id="phone link"),
        pytest.param('<a href="#top">Top</a> <a href="javascript:x()">x</a>', "Top x", id="links to nowhere"),
        pytest.param(
            '<a href="https://x.example/"><img src="b.png"></a>', "https://x.example/", id="empty link"
        ),
        pytest.param(
            '<a href=https://x.example/><img alt="Pay > now" src=b></a>',
            "Pay > now (https://x.example/)",
            id="image link",
        ),
        pytest.param(
            "<table><tr><th>Item</th><th>Price</th></tr><tr><td>Ink</td><td>5</td></tr></table>",
            "Item  Price\nInk  5",
            id="table",
        ),
        pytest.param("<blockquote><p>One</p><p>Two</p></blockquote>End", "> One\n\n> Two\n\nEnd", id="quote"),
        pytest.param("a<hr>b", "a\n\n--------------------\n\nb", id="rule"),
        pytest.param("<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc", id="preformatted"),
        pytest.param("<style>p{}</style><script>if (a<b) {}</script><title>T</title>x", "x", id="not text"),
        pytest.param('<div style="display: none">Preview</div><p hidden>No</p>Yes', "Yes", id="hidden"),
        pytest.param('<div style="display:none"><div>a</div>b</div>c', "c", id="hidden, nested"),
        pytest.param(
            '<p STYLE="DISPLAY:NONE">No</p><p style="dis&#112;lay:none">No</p>Yes', "Yes", id="hidden well"
        ),
        pytest.param('<p style="display:none">&amp;</p>&amp;amp;&lt;b&gt;', "&amp;<b>", id="references"),
        pytest.param('<img style="display:none" alt="no">yes', "noyes", id="an image closes itself"),
        pytest.param("<!-- a > b -->x<!--[if mso]><p>no</p><![endif]-->", "x", id="comments"),
        pytest.param("<![if !mso]><p>yes</p><![endif]>", "yes", id="conditional section"),
        pytest.param("<![foo[ x", "", id="broken section"),
        pytest.param("a<p title=it's>b</p>", "a\n\nb", id="stray quote"),
        pytest.param('a<p title="b>c</p>', "a\n\nc", id="quote without end"),
        pytest.param("a<script>b", "a", id="script without end"),
        pytest.param("a<p", "a", id="cut off"),
        pytest.param('<p dir="rtl">فاتورة رقم ٢٠٤</p>', "فاتورة رقم ٢٠٤", id="Arabic"),
        pytest.param(
            "&rlm;مرحبا (Ali)&lrm; \u2067x\u2069",
            "\u200fمرحبا (Ali)\u200e \u2067x\u2069",
            id="direction marks",
        ),
        pytest.param("", "", id="empty"),
    ],
)
def test_html_reads_as_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


@settings(deadline=None)
@given(st.text(st.sampled_from("<>/!-[]&;\"'= abdehilmopstu\n\xa0ع")) | st.text())
def test_any_text_is_html_enough(html: str) -> None:
    text = html_to_text(html)
    assert text == text.strip("\n")
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    "unit",
    [
        "<a>x",
        "<a href='",
        "<li>x",
        "<blockquote>x",
        "<ul><li>x",
        "<!--",
        "<![",
        "<",
        "<p x='",
        "<title>",
        "</",
        "&",
        "<td>x",
    ],
)
def test_hostile_html_takes_linear_time(unit: str) -> None:
    def seconds(count: int) -> float:
        started = time.process_time()
        html_to_text(unit * count)
        return time.process_time() - started

    # Ten times the input may take ten times as long, not a hundred; the floor keeps tiny times out of it.
    assert seconds(20_000) < 30 * max(seconds(2_000), 0.005)
