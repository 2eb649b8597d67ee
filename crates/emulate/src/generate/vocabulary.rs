//! The words of the generated records.

#[rustfmt::skip]
pub(super) const CATEGORIES: &[&str] = &[
    "art", "beauty", "christmas", "diy-and-crafts", "education", "event-planning", "finance", "home-decor",
    "mens-fashion", "quotes", "tattoos", "travel", "vehicles",
];

#[rustfmt::skip]
pub(super) const COUNTRIES: &[&str] = &[
    "Albania", "Algeria", "Andorra", "Antarctica (the territory South of 60 deg S)", "Argentina", "Armenia", "Aruba",
    "Australia", "Azerbaijan", "Bangladesh", "Bolivia", "Brazil", "Cambodia", "Cocos (Keeling) Islands", "Colombia",
    "Cote d'Ivoire", "Denmark", "Egypt", "Fiji", "Ghana", "Guinea-Bissau", "Iceland", "India", "Japan", "Kenya",
    "Korea", "Lao People's Democratic Republic", "Maldives", "Mexico", "Morocco", "New Zealand", "Nigeria", "Norway",
    "Peru", "Poland", "Saint Vincent and the Grenadines", "Senegal", "Spain", "Uruguay", "Viet Nam",
];

#[rustfmt::skip]
pub(super) const FIRST_NAMES: &[&str] = &[
    "Ada", "Amir", "Anneliese", "Björn", "Carmen", "Chidi", "Dylan", "Elif", "Fatima", "Giulia", "Hana", "Ines",
    "Jamal", "Kofi", "Leila", "Mateo", "Nadia", "Olga", "Priya", "Quentin", "Rosa", "Siobhán", "Tomás", "Yuki",
];

#[rustfmt::skip]
pub(super) const LAST_NAMES: &[&str] = &[
    "Abara", "Bianchi", "Castillo", "Dubois", "Eriksen", "Fischer", "Gupta", "Haddad", "Ito", "Jansen", "Kowalski",
    "Lopez", "Mensah", "Novak", "O'Brien", "Petrov", "Quispe", "Rossi", "Silva", "Tanaka", "Ueda", "Vargas", "Weiß",
];

#[rustfmt::skip]
pub(super) const OPENINGS: &[&str] = &[
    "Easy", "How to make", "Our favourite", "The best", "A beginner's guide to", "Simple", "Last minute", "Everything about",
    "Why we love", "A year of", "Step by step", "The story of",
];

#[rustfmt::skip]
pub(super) const ADJECTIVES: &[&str] = &[
    "Abstract", "Bright", "Colourful", "Cosy", "Creative", "Elegant", "Frosted", "Handmade", "Inexpensive", "Joyful",
    "Minimal", "Modern", "Playful", "Rustic", "Silver", "Thoughtful", "Traditional", "Unusual", "Vintage", "Warm",
];

#[rustfmt::skip]
pub(super) const THINGS: &[&str] = &[
    "Bookshelves", "Budgets", "Cakes", "Cards", "Cities", "Drawings", "Flowers", "Gardens", "Gifts", "Ideas",
    "Journeys", "Kitchens", "Lanterns", "Lessons", "Motorcycles", "Ornaments", "Paintings", "Quilts", "Recipes",
    "Suits", "Trails", "Windows",
];

#[rustfmt::skip]
pub(super) const SUBJECTS: &[&str] = &[
    "busy parents", "careful planners", "children of all ages", "first-time travellers", "large families", "people in a hurry",
    "rainy afternoons", "small rooms", "students", "those who start late", "toddlers", "winter evenings",
];

#[rustfmt::skip]
pub(super) const PLACES: &[&str] = &[
    "Amber Street", "Blue Harbour", "Cedar House", "Dune Road", "Elm Square", "Fern Valley", "Granite Bay",
    "Hollow Hill", "Ivy Lane", "Juniper Farm", "Kettle Wharf", "Lantern Court",
];

#[rustfmt::skip]
pub(super) const CLOSINGS: &[&str] = &[
    "a keepsake for years", "all on a small budget", "and it takes an afternoon", "no tools needed", "ready by Friday",
    "that will surprise your guests", "with instructions", "with what you have at home", "without a single nail",
    "you will want to try it",
];

/// What breaks a careless reader: line ends, quotes, back-slashes, tabs, emoji (also joined ones), writing from right to
/// left, wide characters, an accent in two parts, a no-break space, a private-use character, a comma list's comma.
#[rustfmt::skip]
pub(super) const ODDITIES: &[&str] = &[
    "first line\nsecond line", "\"so to speak\"", "it's 'quoted'", "C:\\photos\\new", "a\ttab", "✨🎄", "👩‍👧‍👦", "❤️",
    "مرحبا بالعالم", "שלום עולם", "手作りの贈り物", "한국어", "cafe\u{301}", "no\u{a0}break", "\u{e000}", "½ price, ☕",
    "Crème brûlée", "<b>bold</b> &amp; more", "{\"not\": \"a record\"}", "100 % “pure”",
];
