"""The words of the demonstration: made-up people, companies and work, in Arabic and English."""

from __future__ import annotations

from typing import Final

#: (Arabic, English)
FIRM: Final = ("مكتب الميزان للمحاماة والاستشارات القانونية", "Al Mizan Law Firm")
GIVEN_NAMES: Final = (
    ("سارة", "Sara"),
    ("نورة", "Noura"),
    ("ريم", "Reem"),
    ("هند", "Hind"),
    ("عبدالله", "Abdullah"),
    ("محمد", "Mohammed"),
    ("فهد", "Fahad"),
    ("خالد", "Khalid"),
    ("تركي", "Turki"),
    ("ياسر", "Yasser"),
)
FAMILY_NAMES: Final = (
    ("العتيبي", "Al Otaibi"),
    ("القحطاني", "Al Qahtani"),
    ("الغامدي", "Al Ghamdi"),
    ("الدوسري", "Al Dossari"),
    ("الشهري", "Al Shehri"),
    ("الحربي", "Al Harbi"),
    ("المطيري", "Al Mutairi"),
    ("الزهراني", "Al Zahrani"),
)
COMPANIES: Final = (
    ("شركة الأفق المتقدم للتجارة", "Advanced Horizon Trading Co."),
    ("شركة واحة البناء للمقاولات", "Oasis Building Contractors"),
    ("مؤسسة درب النور", "Path of Light Est."),
    ("شركة نخيل الشرق الغذائية", "Eastern Palms Foods"),
    ("شركة سحاب التقنية", "Sahab Technology Co."),
    ("مجموعة الرواد الطبية", "Pioneers Medical Group"),
    ("شركة جسور للنقل", "Jusoor Transport Co."),
    ("شركة المدار العقارية", "Al Madar Real Estate"),
)
#: (district, city, postal code)
PLACES: Final = (
    ("العليا", "الرياض", "12211"),
    ("الملقا", "الرياض", "13524"),
    ("الروضة", "جدة", "23433"),
    ("الشاطئ", "الدمام", "32413"),
    ("العزيزية", "مكة المكرمة", "24243"),
)
#: (Arabic, English, unit, lowest and highest price in SAR)
SERVICES: Final = (
    ("استشارة قانونية", "Legal consultation", "ساعة · hour", 450, 1200),
    ("صياغة عقد", "Contract drafting", "", 1500, 9000),
    ("مراجعة عقد", "Contract review", "ساعة · hour", 500, 1100),
    ("تمثيل أمام المحكمة", "Representation in court", "جلسة · session", 2500, 8000),
    ("إعداد لائحة دعوى", "Statement of claim", "", 2000, 7500),
    ("ترجمة معتمدة", "Certified translation", "صفحة · page", 60, 140),
    ("متابعة التنفيذ", "Enforcement follow-up", "ساعة · hour", 400, 900),
)
#: (type of case, title)
MATTERS: Final = (
    ("commercial", "مطالبة مالية · Debt claim"),
    ("labour", "نزاع عمالي · Labour dispute"),
    ("real_estate", "نزاع ملكية · Property dispute"),
    ("family", "قسمة تركة · Estate division"),
    ("enforcement", "طلب تنفيذ · Enforcement request"),
    ("administrative", "تظلم إداري · Administrative appeal"),
    ("criminal", "دفاع جزائي · Criminal defence"),
)
COURTS: Final = (
    "المحكمة التجارية بالرياض",
    "المحكمة العمالية بجدة",
    "محكمة التنفيذ بالرياض",
    "المحكمة العامة بالدمام",
)
TASKS: Final = ("مراجعة المستندات", "اجتماع مع العميل", "إعداد مذكرة", "حضور جلسة", "بحث قانوني")
INTERNAL_TASKS: Final = ("تدريب", "اجتماع المكتب")
#: (category, description, lowest and highest amount in SAR, whether it is for a case)
EXPENSES: Final = (
    ("court_fees", "رسوم قضائية · Court fees", 200, 5000, True),
    ("experts", "أتعاب خبير · Expert's fee", 1000, 8000, True),
    ("travel", "سفر · Travel", 150, 1800, True),
    ("translation", "ترجمة · Translation", 100, 900, True),
    ("software", "برمجيات · Software", 200, 1500, False),
    ("utilities", "كهرباء وإنترنت · Utilities", 300, 1200, False),
)
#: (title, text)
CLAUSES: Final = (
    ("موضوع العقد", "يقدم الطرف الأول للطرف الثاني الخدمات القانونية المبينة في هذا العقد."),
    ("الأتعاب", "يدفع الطرف الثاني الأتعاب المتفق عليها خلال ثلاثين يومًا من تاريخ الفاتورة."),
    ("السرية", "يلتزم الطرفان بالمحافظة على سرية المعلومات المتبادلة."),
    ("مدة العقد", "تبدأ مدة العقد من تاريخ توقيعه وتستمر سنة واحدة."),
    ("تسوية المنازعات", "تختص محاكم مدينة الرياض بالفصل في أي نزاع ينشأ عن هذا العقد."),
)
