"""Signed tax documents, judged by an independent implementation of the authority's rules."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.support.records import NOW
from tests.support.zatca_documents import BUYER, PLACE, SELLER, a_document, a_line, an_identity
from tests.support.zatca_server import fatoora, validate

from toril.db.models import VatCategory, ZatcaKind
from toril.errors import UnrecoverableError
from toril.queues.sync.zatca import qr
from toril.queues.sync.zatca.document import ChainPlace, DocumentType, Party, TaxDocument
from toril.queues.sync.zatca.exemptions import read_exemptions
from toril.queues.sync.zatca.signature import SignedDocument, hash_of, invoice_hash, qr_of, sign, uuid_of
from toril.queues.sync.zatca.xml import INDENT

IDENTITY = an_identity()
EXEMPTIONS = tuple(read_exemptions({"Z": "VATEX-SA-33", "E": "VATEX-SA-29"}).items())
CLEAN: dict[str, list[str]] = {"error": [], "warning": [], "not run": []}


def signed(document: TaxDocument, place: ChainPlace = PLACE) -> SignedDocument:
    return sign(document, place, IDENTITY, signed_at=NOW)


def untaxed(category: VatCategory) -> TaxDocument:
    return a_document(lines=(a_line(category=category, rate=Decimal(0)), a_line()), exemptions=EXEMPTIONS)


DOCUMENTS = {
    "standard": a_document(),
    "simplified": a_document(kind=ZatcaKind.SIMPLIFIED),
    "without a buyer": a_document(kind=ZatcaKind.SIMPLIFIED, buyer=None),
    "a buyer with a name only": a_document(kind=ZatcaKind.SIMPLIFIED, buyer=Party(name="سارة العتيبي")),
    "a buyer abroad": a_document(
        buyer=Party(
            name="Acme Ltd", id_scheme="OTH", id="GB123", street="High St", city="London", country="GB"
        )
    ),
    "fractions of hours at fractions of halalas": a_document(
        lines=(
            a_line(quantity="1.5", unit_price="333.3333"),
            a_line(quantity="0.0001", unit_price="999999.9999"),
        )
    ),
    "a discount on a line": a_document(lines=(a_line(discount="10.01"), a_line(quantity="0"))),
    "a discount on the whole": a_document(discount=Decimal("33.33")),
    "a discount of everything": a_document(discount=Decimal(200)),
    "five per cent": a_document(lines=(a_line(rate=Decimal(5)),)),
    "zero-rated": untaxed(VatCategory.ZERO),
    "exempt": untaxed(VatCategory.EXEMPT),
    "out of scope": untaxed(VatCategory.OUT_OF_SCOPE),
    "all categories with a discount": a_document(
        lines=(
            a_line(unit_price="333.33"),
            *(a_line(category=category, rate=Decimal(0)) for category in list(VatCategory)[1:]),
            a_line(quantity="3", unit_price="33.33", rate=Decimal(5)),
        ),
        exemptions=EXEMPTIONS,
        discount=Decimal("77.77"),
    ),
    "VAT rounded line by line": a_document(vat_rounding=Decimal("0.01")),
    "a credit note": a_document(type=DocumentType.CREDIT_NOTE, original="INV-0", reason="خطأ في الكمية"),
    "a debit note": a_document(
        kind=ZatcaKind.SIMPLIFIED, type=DocumentType.DEBIT_NOTE, original="INV-0", reason="فرق سعر"
    ),
    "signs of XML and odd blanks": a_document(
        kind=ZatcaKind.SIMPLIFIED,
        seller=replace(SELLER, name='مكتب <"الميزان"> & شركاه'),
        lines=(a_line(name="  تقرير\r\n\tأول & <ثان>\x0b "),),
    ),
    "a long line": a_document(lines=(a_line(name="بند " * 200),)),
    "many lines": a_document(lines=tuple(a_line(unit_price=str(price)) for price in range(1, 101))),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_the_independent_validator_finds_nothing_wrong(document: TaxDocument) -> None:
    assert validate(signed(document).xml, PLACE.previous_hash) == CLEAN


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_the_hash_is_the_one_that_others_compute(document: TaxDocument) -> None:
    made = signed(document)
    assert made.hash == fatoora.invoice_hash_base64_from_xml_str(made.xml)
    assert made.hash == invoice_hash(made.xml.encode()) == hash_of(document, PLACE)


@settings(max_examples=30, deadline=None)
@given(
    lines=st.lists(
        st.tuples(
            st.decimals("0", "9999.9999", places=4),
            st.decimals("0", "99999.9999", places=4),
            st.sampled_from([Decimal(5), Decimal(15)]),
        ),
        min_size=1,
        max_size=6,
    ),
    share=st.integers(0, 100),
    kind=st.sampled_from(ZatcaKind),
)
def test_any_figures_pass_the_rules_of_arithmetic(
    lines: list[tuple[Decimal, Decimal, Decimal]], share: int, kind: ZatcaKind
) -> None:
    made = tuple(
        a_line(quantity=str(quantity), unit_price=str(price), rate=rate) for quantity, price, rate in lines
    )
    total = sum((line.net for line in made), Decimal(0))
    document = a_document(kind=kind, lines=made, discount=(total * share / 100).quantize(Decimal("0.01")))
    assert validate(signed(document).xml, PLACE.previous_hash)["error"] == []
    assert sum((part.discount for part in document.subtotals), Decimal(0)) == document.discount
    assert sum((part.taxable for part in document.subtotals), Decimal(0)) == total - document.discount


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(lambda text: text.replace(">INV-1<", ">INV-2<"), "SIGNATURE_DIGEST", id="content"),
        pytest.param(
            lambda text: text.replace("\n    <cbc:ID>", "\n  <cbc:ID>"), "SIGNATURE_DIGEST", id="a blank"
        ),
        pytest.param(
            lambda text: text.replace("<xades:SigningTime>2026", "<xades:SigningTime>2025"),
            "SIGNED_PROPERTIES_DIGEST",
            id="signing time",
        ),
        pytest.param(
            lambda text: text.replace(INDENT * 8 + "<xades:Signed", INDENT * 7 + "<xades:Signed"),
            "SIGNED_PROPERTIES_DIGEST",
            id="indentation of what is digested",
        ),
    ],
)
def test_a_changed_document_does_not_pass(change: Callable[[str], str], code: str) -> None:
    xml = signed(DOCUMENTS["simplified"]).xml
    changed = change(xml)
    assert changed != xml
    assert validate(changed, PLACE.previous_hash)["error"] == [code]


def test_the_signature_is_over_the_hash_and_by_the_key_of_the_certificate() -> None:
    made = signed(DOCUMENTS["standard"])
    value = etree.fromstring(made.xml.encode()).findtext(
        ".//{http://www.w3.org/2000/09/xmldsig#}SignatureValue"
    )
    assert value is not None
    IDENTITY.key.public_key().verify(
        base64.b64decode(value), base64.b64decode(made.hash), ec.ECDSA(hashes.SHA256())
    )


@pytest.mark.parametrize("kind", ZatcaKind)
def test_the_qr_code_has_all_fields_of_phase_two(kind: ZatcaKind) -> None:
    made = signed(a_document(kind=kind, discount=Decimal("50.50")))
    assert qr_of(made.xml.encode()) == made.qr
    fields = qr.decode(made.qr)
    assert list(fields) == list(range(1, 10 if kind is ZatcaKind.SIMPLIFIED else 9))
    assert fields[qr.SELLER].decode() == SELLER.name
    assert fields[qr.VAT_NUMBER].decode() == SELLER.vat_number
    assert fields[qr.ISSUED_AT] == b"2026-03-01T12:30:00"
    assert (fields[qr.TOTAL], fields[qr.VAT]) == (b"171.93", b"22.43")
    assert fields[qr.HASH].decode() == made.hash
    IDENTITY.key.public_key().verify(
        base64.b64decode(fields[qr.SIGNATURE]), base64.b64decode(made.hash), ec.ECDSA(hashes.SHA256())
    )
    assert fields[qr.PUBLIC_KEY] == IDENTITY.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert fields.get(qr.CERTIFICATE_SIGNATURE) == (
        IDENTITY.certificate.signature if kind is ZatcaKind.SIMPLIFIED else None
    )


def test_a_seller_whose_name_does_not_fit_the_qr_code_is_refused() -> None:
    signed(a_document(seller=replace(SELLER, name="م" * 127)))
    with pytest.raises(UnrecoverableError, match="the seller's name has 256 bytes"):
        signed(a_document(seller=replace(SELLER, name="م" * 128)))


def test_the_validator_knows_the_document_before() -> None:
    first = signed(a_document())
    second = signed(a_document(number="INV-2"), replace(PLACE, icv=2, previous_hash=first.hash))
    assert validate(second.xml, first.hash) == CLEAN
    assert validate(second.xml, PLACE.previous_hash)["error"] == ["PIH_MISMATCH"]


def test_an_invoice_dated_tomorrow_is_found_by_the_validator() -> None:
    # So a clean result above means that the rules were run.
    late = a_document(issued_at=a_document().issued_at + timedelta(days=36_500))
    assert validate(signed(late).xml, PLACE.previous_hash)["error"] == ["BR-KSA-04"]


def test_nothing_of_a_document_gets_lost() -> None:
    made = signed(a_document(discount=Decimal("10.00"), buyer=BUYER))
    root = etree.fromstring(made.xml.encode())
    text = "\n".join(root.itertext())
    for said in (SELLER.name, BUYER.name, "INV-1", "خصم", PLACE.previous_hash, "218.50", "28.50", "190.00"):
        assert said in text
    assert uuid_of(made.xml.encode()) == PLACE.uuid


def test_codes_that_are_cut_short_are_told() -> None:
    code = base64.b64encode(b"\x01\x05abc").decode()
    with pytest.raises(ValueError, match="ends inside field 1"):
        qr.decode(code)
