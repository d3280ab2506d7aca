"""The demonstration's firm, its people, clients, cases and contracts."""

from __future__ import annotations

from datetime import timedelta

from toril.db.demo import words
from toril.db.demo.maker import Maker
from toril.db.models import (
    Case,
    CaseStatus,
    CaseType,
    Client,
    ClientKind,
    Contract,
    ContractStatus,
    Firm,
    Role,
    User,
)


def make_firm(make: Maker) -> Firm:
    name_ar, name_en = words.FIRM
    digits = f"{make.chance.randrange(10**13):013d}"
    return Firm(
        id=make.id(),
        name_ar=name_ar,
        name_en=name_en,
        vat_number=f"3{digits}3",
        commercial_registration=f"1010{make.chance.randrange(10**6):06d}",
        street="طريق الملك فهد",
        building_number="2929",
        district="العليا",
        city="الرياض",
        postal_code="12211",
        phone="+966115550100",
        email="billing@firm.example",
        bank_name="البنك الأهلي السعودي",
        iban="SA0510000011100000000100",
    )


def make_users(make: Maker, firm: Firm) -> list[User]:
    roles = [Role.ADMIN, *[Role.LAWYER] * 4, *[Role.STAFF] * 2]
    return [
        User(
            id=make.id(),
            firm_id=firm.id,
            email=f"user{n}@firm{make.seed}.example",
            name=make.person()[0],
            role=role,
        )
        for n, role in enumerate(roles, 1)
    ]


def make_client(make: Maker, firm: Firm, number: int) -> Client:
    business = number % 2 == 0
    district, city, postal_code = make.chance.choice(words.PLACES)
    name = make.chance.choice(words.COMPANIES) if business else make.person()
    arabic = number % 4 < 2
    return Client(
        id=make.id(),
        firm_id=firm.id,
        kind=ClientKind.BUSINESS if business else ClientKind.PERSON,
        name=name[0] if arabic else name[1],
        email=f"client{number + 1}@example.com",
        phone=f"+9665{make.chance.randrange(10**8):08d}",
        vat_number=f"3{make.chance.randrange(10**13):013d}3" if business else None,
        national_id=f"700{make.chance.randrange(10**7):07d}" if business else None,
        street="شارع التحلية",
        building_number=str(make.chance.randint(2000, 9000)),
        district=district,
        city=city,
        postal_code=postal_code,
        language="ar" if arabic else "en",
        client_since=make.day(),
    )


def make_case(make: Maker, firm: Firm, number: int, client: Client, lawyers: list[User]) -> Case:
    kind, title = make.chance.choice(words.MATTERS)
    opened = max(client.client_since, make.day())
    closed = make.chance.random() < 0.3
    status = make.chance.choice([CaseStatus.OPEN, CaseStatus.OPEN, CaseStatus.PENDING, CaseStatus.ON_HOLD])
    return Case(
        id=make.id(),
        firm_id=firm.id,
        number=f"C-{opened.year}-{number + 1:04d}",
        title=title,
        client_id=client.id,
        lawyer_id=make.chance.choice(lawyers).id,
        type=CaseType(kind),
        status=CaseStatus.CLOSED if closed else status,
        court=make.chance.choice(words.COURTS),
        opened_on=opened,
        closed_on=make.day(0, (make.today - opened).days) if closed else None,
    )


def make_contract(make: Maker, firm: Firm, number: int, client: Client) -> Contract:
    starts = make.day(30)
    return Contract(
        id=make.id(),
        firm_id=firm.id,
        client_id=client.id,
        number=f"RET-{starts.year}-{number:03d}",
        title="عقد تقديم خدمات قانونية · Retainer agreement",
        status=ContractStatus.SIGNED,
        parties=[
            {"name": firm.name_ar, "role": "الطرف الأول", "idNumber": firm.commercial_registration},
            {"name": client.name, "role": "الطرف الثاني", "idNumber": client.national_id},
        ],
        clauses=[{"title": title, "text": text} for title, text in words.CLAUSES],
        starts_on=starts,
        ends_on=starts + timedelta(days=365),
        signed_at=make.moment(starts),
        counterparty_name=client.name,
        counterparty_registration=client.national_id,
    )
