"""The words that personal data is told by: what is asked for before a number is said, how streets end, what only
fills a pause. Data, no behaviour. English.
"""

from __future__ import annotations

import re

FILLERS = frozenset(
    "um uh uhm er erm ah hm hmm mm mmm mhm huh and then dash hyphen space slash okay ok so yes yeah yep yup "  # noqa: SIM905
    "right sure alright all it's its is that's like well now again number numbers let me see plus double "
    "triple treble quadruple digit digits".split()
)
"""May stand between the digits of one number."""

BACKCHANNEL = FILLERS | frozenset(
    "got it go ahead on next perfect thanks thank you i i've have that the continue please correct great and "  # noqa: SIM905
    "the rest what's after more listening ready still here good fine exactly copy gotcha sorry keep going we "
    "us for me written down do we'll with mhmm last first one moment second wait hold cool lovely wonderful "
    "sir madam ma'am".split()
)
"""What a listener says while a number is read to him; a turn of nothing else does not end the number."""

UNITS = frozenset(
    "dollar dollars buck bucks cent cents euro euros pound pounds quid pence percent % minute minutes min "  # noqa: SIM905
    "mins second seconds hour hours day days week weeks month months year years time times mile miles km "
    "kilometers kilometres meter meters metres foot feet inch inches degree degrees gigabyte gigabytes gig "
    "gigs gb mb megabytes people persons person items item units pieces boxes kids children dogs cats guests "
    "night nights ounce ounces gram grams kilo kilos kg lbs lb watts volts a.m p.m am pm o'clock points "
    "stars grand k business calls bedroom bedrooms th st nd rd per".split()
)
"""A number before one of these counts something."""

_CUES: tuple[tuple[str, str], ...] = (
    (
        "SECRET",
        r"pin(?: code| number)?|pass ?(?:code|word|phrase)s?|one[- ]time (?:code|password)|otp|verification code"
        r"|access code|authenti\w+ code|code (?:we|i) (?:just )?(?:sent|texted)|security (?:question|answer|word)",
    ),
    (
        "CARD",
        r"(?:credit|debit|charge|bank|gift)? ?cards?(?: number)?|visa|master ?card|amex|american express|discover"
        r"|long number|c\.?v\.?[vc]\.?2?|security code|card code|digits on the (?:back|front)|on the back|expir\w+"
        r"|valid (?:until|thru|through|till)|good (?:thru|through)|signature strip",
    ),
    (
        "NATIONAL_ID",
        r"social(?: security)?(?: number)?|s\.?s\.?n\.?|national insurance|n\.?i\.? number|tax(?:payer)? i\.?d"
        r"|itin|driver'?s?'? ?licen[sc]e|licen[sc]e number|passport|social insurance|medicare|medicaid|nhs",
    ),
    ("BANK", r"routing|sort code|i\.?b\.?a\.?n\.?|bsb|swift|bic|(?:checking|savings|bank) account|transit number"),
    (
        "PHONE",
        r"(?:tele|cell)?phone|cell|mobile|fax|whats ?app|landline|call ?back|(?:call|reach|text|ring) (?:me|you|him|her"
        r"|us|them)(?: back)?|best number|contact number|(?:get|got) cut off|extension|my number|your number|his number"
        r"|her number|dial",
    ),
    ("LOCATION", r"zip(?: ?code)?|post(?:al)? ?code|zip|address|apartment|apt|suite|unit"),
    (
        "ID",
        r"accounts?|acct|member(?:ship)?|policy|policies|orders?|reference|ref|confirmation|cases?|tickets?|claims?"
        r"|invoices?|customer (?:number|id)|i\.?d\.?|ids|serial|tracking|booking|reservation|plate|vin|employee|loyalty"
        r"|rewards?|medical record|mrn|patient|prescription|rx|(?:ends?|ending)(?: in| with)?|last (?:four|three|five"
        r"|six|4|3|5|6)|group number|quote|receipt|flight|license plate|student|badge|agent number|contract"
        r"|meter number|work order|record locator|locator|code",
    ),
)
CUES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (label, re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.I)) for label, pattern in _CUES
)
"""What is asked for or announced before it is said, by the label of what follows. The later in a line, the nearer."""

BIRTH = re.compile(r"\b(?:date of birth|birth ?date|birth ?days?|born|d\.?o\.?b\b\.?)", re.I)
MONTHS = frozenset(
    "january february march april may june july august september october november december jan feb mar apr "  # noqa: SIM905
    "jun jul aug sep sept oct nov dec".split()
)
ORDINALS = frozenset(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "  # noqa: SIM905
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth".split()
)

STREETS = (
    "alley|avenue|ave|av|bayou|beach|bend|bluffs?|boulevard|blvd|branch|bridge|brooks?|burgs?|bypass|camp|canyon|cape"
    "|causeway|centers?|circles?|cir|cliffs?|club|common|commons|corners?|courts?|ct|coves?|creek|crescent|crest"
    "|crossing|crossroads?|curve|dale|dam|divide|drives?|dr|estates?|expressway|extensions?|falls?|ferry|fields?|flats?"
    "|fords?|forest|forges?|forks?|fort|freeway|gardens?|gateway|glens?|greens?|groves?|harbors?|haven|heights|highway"
    "|hwy|hills?|hollow|inlet|islands?|isle|junctions?|keys?|knolls?|lakes?|land|landing|lane|ln|lights?|loaf|locks?"
    "|lodge|loop|mall|manors?|meadows?|mews|mills?|mission|motorway|mountains?|neck|orchard|oval|overpass|parks?"
    "|parkways?|pass|passage|path|pike|pines?|place|pl|plains?|plaza|points?|ports?|prairie|radial|ramp|ranch|rapids?"
    "|rest|ridges?|river|roads?|rd|route|row|rue|run|shoals?|shores?|skyway|springs?|spurs?|squares?|sq|station"
    "|stravenue|stream|streets?|st|summit|terrace|throughway|trace|track|trafficway|trail|tunnel|turnpike|underpass"
    "|unions?|valleys?|viaduct|views?|villages?|ville|vista|walks?|wall|ways?|wells?"
)
"""How streets end: the suffixes of USPS Publication 28, and British ones."""

STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA"
    "|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|PR|AS|FM|GU|MH|MP|PW|VI|AA|AE|AP"
)

PHONETIC = frozenset(
    "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike november "  # noqa: SIM905
    "oscar papa quebec romeo sierra tango uniform victor whiskey whisky xray yankee zulu".split()
)

NAMELIKE = frozenset(
    # given names and surnames that are words first
    "will mark may grace hope joy rose bill rich grant chase frank art pat rob sue june april august dawn "  # noqa: SIM905
    "faith guy miles jack penny drew gene van young white black brown green king long day sunny honey gay "
    "don ash autumn summer winter rusty buddy junior major prince earl baron brook dale forest lane trace "
    "chance carpenter cook skip skipper rocky wood woods stone hill park parks field fields price cash noble "
    "loyal precious patience prudence mercy charity angel star sky stormy rain ford cherry candy sugar berry "
    "daisy swift max love early jay mercedes porsche tiffany coral sandy son ma pa lee".split()
)
"""Words that are a name only after "my name is" and its like, behind another name, or if a party is called so."""

ORDINARY = frozenset(
    "an so in see do my man see less more much many most other some any all both few each every one two "  # noqa: SIM905
    "three four five six seven eight nine ten the a and or but if then else when where who whom whose which "
    "what why how this that these those here there now yes no not okay ok please thanks thank you hi hello "
    "hey dear good morning afternoon evening night sir madam ma'am miss mister mr mrs ms dr i i'm i've i'll "
    "it it's we you're he she they us them our your his her their its for from with to of on at by as is are "
    "was were be been am can could would should might must shall did does done has have had let lets let's "
    "get got go going gone come came make made take took give gave say said tell told know knew think "
    "thought want need like look see sorry sure great perfect fine well oh um uh hmm just still also only "
    "even really very too again back over up down out off about after before because since until while than "
    "monday tuesday wednesday thursday friday saturday sunday january february march july september october "
    "november december today tomorrow yesterday agent customer caller support service team manager operator "
    "representative account card phone email address number name order visa mastercard amex discover google "
    "apple amazon microsoft windows internet english spanish french german american canadian british "
    "european christmas easter god lord ave avenue street road suite unit apt street al la de le el il les "
    "des du von und der die das pin hoa ai cd tv id ip ssn cvv zip dob usa uk us eu ok atm faq pdf sms gps "
    "usb wifi vip ceo hr it pc mac android said see song thing things anything everything nothing something "
    "absolutely actually alright certainly correct definitely excellent exactly maybe obviously perhaps "
    "probably wonderful awesome lovely unfortunately welcome once speaking calling ask call send check hold "
    "wait "
    "yeah yep yup nope understood goodbye bye we'll you'll they'll he'll she'll it'll that'll there'll i'd "
    "you'd we'd they'd he'd she'd we've you've they've we're they're isn't aren't wasn't weren't don't "
    "doesn't didn't can't cannot couldn't won't wouldn't shouldn't haven't hasn't hadn't there's here's "
    "what's who's how's where's that's however basically finally anyway anyways honestly hopefully meanwhile "
    "social security download downloads mhm uh-huh congratulations pardon apologies cheers talk soon later "
    "nice noted agreed wow ah oops gosh ugh seriously frankly luckily currently recently first second next "
    "last third".split()
)
"""Words that are no name, whatever list of names they are in, though they may have a capital."""
