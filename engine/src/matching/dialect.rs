//! PCRE's way of writing, put into words that both engines read alike.
//!
//! They agree on nearly everything, but not on all: `a++`, `[[a]`, `\<`, `{,5}`, `\x1` or a letter
//! outside of ASCII mean one thing to PCRE and another to them, without an error. So every literal leaves
//! this file as a letter, a digit or `\xHH`, and what only tries can do is marked.

use core::fmt::Write;
use core::iter::Peekable;
use core::str::Chars;

/// Stands in [`Dialect::text`] for "at the end, or before a newline at the end".
pub(super) const SOFT_END: &str = "\u{e000}";

/// A pattern as both engines read it.
#[derive(Debug)]
pub(super) struct Dialect {
    pub(super) text: String,
    /// Why no linear engine can do it, as far as that is seen here.
    pub(super) needs_tries: Option<&'static str>,
}

/// Reads a pattern. The error says what PCRE would not take either.
pub(super) fn read(text: &str) -> Result<Dialect, String> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        out: String::with_capacity(text.len() * 2),
        needs_tries: None,
        flags: Flags::default(),
        outer: Vec::new(),
        last: Last::Nothing,
    };
    if text.contains('\0') {
        return Err("a NUL octet is written \\x00".to_owned());
    }
    while let Some(c) = reader.rest.next() {
        reader.item(c)?;
    }
    if !reader.outer.is_empty() {
        return Err("a ')' is missing".to_owned());
    }
    Ok(Dialect { text: reader.out, needs_tries: reader.needs_tries })
}

#[derive(Clone, Copy, Default)]
struct Flags {
    multi_line: bool,
    /// Blanks and comments are no part of the pattern.
    extended: bool,
}

/// What stands before the next item: only some of it can be repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Item,
    Repeated,
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    needs_tries: Option<&'static str>,
    flags: Flags,
    /// The flags of the groups around.
    outer: Vec<Flags>,
    last: Last,
}

impl Reader<'_> {
    fn item(&mut self, c: char) -> Result<(), String> {
        match c {
            '\\' => return self.escape(),
            '[' => return self.class(),
            '(' => return self.group(),
            ')' => {
                self.flags = self.outer.pop().ok_or("a ')' has no '('")?;
                self.out.push(')');
            }
            '|' => {
                self.out.push('|');
                self.last = Last::Nothing;
                return Ok(());
            }
            '^' => self.out.push('^'),
            '.' => self.out.push('.'),
            '$' if self.flags.multi_line => self.out.push('$'),
            '$' => self.out.push_str(SOFT_END),
            '*' | '+' | '?' => return self.repeat(c.to_string()),
            '{' => {
                if let Some(bounds) = self.bounds()? {
                    return self.repeat(bounds);
                }
                self.literal(c);
            }
            _ if self.flags.extended && (c.is_ascii_whitespace() || c == '\x0b') => return Ok(()),
            '#' if self.flags.extended => {
                while self.rest.next().is_some_and(|c| c != '\n') {}
                return Ok(());
            }
            _ => self.literal(c),
        }
        self.last = Last::Item;
        Ok(())
    }

    /// Writes a literal: one octet, or the octets of a character, of which only the last is repeated.
    fn literal(&mut self, c: char) {
        if c.is_ascii_alphanumeric() {
            self.out.push(c);
        } else {
            let mut octets = [0; 4];
            for octet in c.encode_utf8(&mut octets).bytes() {
                self.octet(octet);
            }
        }
    }

    fn octet(&mut self, octet: u8) {
        // Text takes what is written into it.
        let _ = write!(self.out, "\\x{octet:02X}");
    }

    /// Reads `{n}`, `{n,}` or `{n,m}` behind its brace; anything else is literal.
    fn bounds(&mut self) -> Result<Option<String>, String> {
        let mut ahead = self.rest.clone();
        let inside: String = ahead.by_ref().take_while(|c| *c != '}').collect();
        let (min, max) = inside.split_once(',').unwrap_or((&inside, "0"));
        let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let is_closed = self.rest.clone().nth(inside.chars().count()) == Some('}');
        if !is_closed || min.is_empty() || !is_number(min) || !is_number(max) {
            return Ok(None);
        }
        let value =
            |text: &str| text.parse::<u16>().map_err(|_| format!("{{{inside}}} is too often"));
        if !max.is_empty() && inside.contains(',') && value(min)? > value(max)? {
            return Err(format!("{{{inside}}} runs backwards"));
        }
        value(min)?;
        self.rest = ahead;
        Ok(Some(format!("{{{inside}}}")))
    }

    fn repeat(&mut self, how: String) -> Result<(), String> {
        if self.last != Last::Item {
            return Err(format!("'{how}' has nothing to repeat"));
        }
        self.last = Last::Repeated;
        self.out.push_str(&how);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        } else if self.rest.next_if_eq(&'+').is_some() {
            self.out.push('+');
            self.needs_tries = Some("a possessive quantifier");
        }
        Ok(())
    }

    fn group(&mut self) -> Result<(), String> {
        if self.rest.next_if_eq(&'?').is_none() {
            self.open("(");
            return Ok(());
        }
        match self.rest.next() {
            Some('#') => {
                while self.rest.next().ok_or("a comment has no ')'")? != ')' {}
                return Ok(());
            }
            Some(':') => self.open("(?:"),
            Some('>') => self.tries("(?>", "an atomic group"),
            Some('=') => self.tries("(?=", "look-ahead"),
            Some('!') => self.tries("(?!", "look-ahead"),
            Some('<') if self.rest.next_if_eq(&'=').is_some() => self.tries("(?<=", "look-behind"),
            Some('<') if self.rest.next_if_eq(&'!').is_some() => self.tries("(?<!", "look-behind"),
            Some('<') => self.named('>')?,
            Some('\'') => self.named('\'')?,
            Some('P') if self.rest.next_if_eq(&'<').is_some() => self.named('>')?,
            Some('P') if self.rest.next_if_eq(&'=').is_some() => {
                let name = self.through(')')?;
                self.reference(&format!("(?P={name})"));
            }
            Some('(') => {
                let condition = self.through(')')?;
                self.tries(&format!("(?({condition})"), "a condition");
            }
            Some(c) => self.inline_flags(c)?,
            None => return Err("a ')' is missing".to_owned()),
        }
        Ok(())
    }

    fn open(&mut self, how: &str) {
        self.out.push_str(how);
        self.outer.push(self.flags);
        self.last = Last::Nothing;
    }

    fn tries(&mut self, how: &str, reason: &'static str) {
        self.open(how);
        self.needs_tries = Some(reason);
    }

    fn reference(&mut self, how: &str) {
        self.out.push_str(how);
        self.needs_tries = Some("a reference to a group");
        self.last = Last::Item;
    }

    fn named(&mut self, end: char) -> Result<(), String> {
        let name = self.through(end)?;
        self.open(&format!("(?P<{name}>"));
        Ok(())
    }

    fn through(&mut self, end: char) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some(c) if c == end => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(format!("a '{end}' is missing")),
            }
        }
    }

    fn inline_flags(&mut self, first: char) -> Result<(), String> {
        let (mut flags, mut is_on, mut letters) = (self.flags, true, String::new());
        let mut next = Some(first);
        loop {
            match next.ok_or("a ')' is missing")? {
                '-' => is_on = false,
                'm' => flags.multi_line = is_on,
                'x' => flags.extended = is_on,
                'i' | 's' | 'U' => {}
                // Names of groups may repeat: nothing here goes by names.
                'J' => {
                    next = self.rest.next();
                    continue;
                }
                end @ (':' | ')') => {
                    if letters.is_empty() || letters == "-" {
                        self.out.push_str(if end == ':' { "(?:" } else { "" });
                    } else {
                        let _ = write!(self.out, "(?{letters}{end}");
                    }
                    if end == ':' {
                        self.outer.push(self.flags);
                        self.last = Last::Nothing;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                c => return Err(format!("'(?{letters}{c}' is not known")),
            }
            // Blanks never get through this file, so the engines need not know of them.
            letters.extend(next.filter(|c| *c != 'x'));
            next = self.rest.next();
        }
    }

    /// Reads what stands behind a backslash, outside of a class.
    fn escape(&mut self) -> Result<(), String> {
        let c = self.rest.next().ok_or("a backslash at the end")?;
        match c {
            'Q' => {
                let quoted = self.quoted();
                quoted.chars().for_each(|c| self.literal(c));
                if quoted.is_empty() {
                    return Ok(());
                }
            }
            'E' => return Ok(()),
            'Z' => self.out.push_str(SOFT_END),
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'b' | 'B' | 'A' | 'z' => {
                let _ = write!(self.out, "\\{c}");
            }
            'N' => self.out.push_str(r"[^\n]"),
            'R' => {
                self.out.push_str(r"(?>\r\n|[\n-\r\x85])");
                self.needs_tries = Some(r"\R");
            }
            'G' | 'K' => {
                let _ = write!(self.out, "\\{c}");
                self.needs_tries = Some(r"\G or \K");
            }
            'k' | 'g' => {
                let end = match self.rest.next() {
                    Some('{') => '}',
                    Some('<') => '>',
                    Some('\'') => '\'',
                    Some(digit) if c == 'g' && digit.is_ascii_digit() => {
                        self.reference(&format!("\\{digit}"));
                        return Ok(());
                    }
                    _ => return Err(format!("\\{c} has no name of a group")),
                };
                let name = self.through(end)?;
                let number = name.bytes().all(|b| b.is_ascii_digit());
                self.reference(&if number { format!("\\{name}") } else { format!("\\k<{name}>") });
            }
            '1'..='9' => {
                let mut number = c.to_string();
                number.extend(self.rest.next_if(char::is_ascii_digit));
                self.reference(&format!("\\{number}"));
            }
            _ => match shorthand(c) {
                Some((inside, is_negated)) => {
                    let negation = if is_negated { "^" } else { "" };
                    let _ = write!(self.out, "[{negation}{inside}]");
                }
                None => match self.character(c)? {
                    Character::Octet(octet) => self.octet(octet),
                    Character::Char(c) => self.literal(c),
                },
            },
        }
        self.last = Last::Item;
        Ok(())
    }

    fn quoted(&mut self) -> String {
        let mut quoted = String::new();
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                break;
            }
            quoted.push(c);
        }
        quoted
    }

    /// Reads an escape that stands for one character, in a class and outside.
    fn character(&mut self, c: char) -> Result<Character, String> {
        Ok(Character::Octet(match c {
            'a' => 7,
            'e' => 0x1b,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'c' => {
                let next = self.rest.next().filter(char::is_ascii);
                let next = next.ok_or("\\c needs an ASCII character")?;
                (next.to_ascii_uppercase() as u8) ^ 0x40
            }
            'x' if self.rest.next_if_eq(&'{').is_some() => {
                let digits = self.through('}')?;
                u8::from_str_radix(&digits, 16).map_err(|_| {
                    format!("\\x{{{digits}}} is no octet: patterns match octets, up to \\x{{ff}}")
                })?
            }
            'x' => self.digits(2, 16, 0),
            '0'..='7' => self.digits(2, 8, c.to_digit(8).unwrap_or(0)),
            'o' => return Err("\\o is not known, write \\xHH".to_owned()),
            _ if c.is_ascii_alphanumeric() => return Err(format!("'\\{c}' is not known")),
            _ => return Ok(Character::Char(c)),
        }))
    }

    fn digits(&mut self, most: usize, radix: u32, start: u32) -> u8 {
        let mut value = start;
        for _ in 0..most {
            let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(radix)) else { break };
            value = value * radix + digit;
            self.rest.next();
        }
        // \400 and more are no octet; PCRE keeps the low eight bits.
        (value & 0xff) as u8
    }

    /// Reads a class in brackets.
    fn class(&mut self) -> Result<(), String> {
        let missing = || "a ']' is missing".to_owned();
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        // The beginning of what may be a range, not yet written.
        let mut from: Option<u8> = None;
        loop {
            let c = self.rest.next().ok_or_else(missing)?;
            if c == ']' && !is_first {
                break;
            }
            is_first = false;
            if c == '-' && from.is_some() && self.rest.peek() != Some(&']') {
                let c = self.rest.next().ok_or_else(missing)?;
                let Some((to, more)) = self.class_item(c)? else {
                    // What follows is no single character: the hyphen stands for itself.
                    self.flush(&mut from);
                    self.octet(b'-');
                    continue;
                };
                let first = from.take().unwrap_or(to);
                if first > to {
                    return Err("a range in a class runs backwards".to_owned());
                }
                let _ = write!(self.out, "\\x{first:02X}-\\x{to:02X}");
                more.into_iter().for_each(|octet| self.octet(octet));
                continue;
            }
            self.flush(&mut from);
            if let Some((octet, more)) = self.class_item(c)? {
                self.octet_unless_last(octet, &more);
                from = more.last().copied().or(Some(octet));
            }
        }
        self.flush(&mut from);
        self.out.push(']');
        self.last = Last::Item;
        Ok(())
    }

    fn flush(&mut self, from: &mut Option<u8>) {
        if let Some(octet) = from.take() {
            self.octet(octet);
        }
    }

    fn octet_unless_last(&mut self, first: u8, more: &[u8]) {
        if let Some((_, before)) = more.split_last() {
            self.octet(first);
            before.iter().for_each(|octet| self.octet(*octet));
        }
    }

    /// Reads one item of a class: the octets of a character, or nothing for what was written at once.
    fn class_item(&mut self, c: char) -> Result<Option<(u8, Vec<u8>)>, String> {
        let octets = |c: char| {
            let mut octets = [0; 4];
            let mut bytes = c.encode_utf8(&mut octets).bytes();
            bytes.next().map(|first| (first, bytes.collect()))
        };
        if c == '[' && matches!(self.rest.peek(), Some(':')) {
            let mut ahead = self.rest.clone();
            ahead.next();
            let name: String = ahead.by_ref().take_while(|c| *c != ':' && *c != ']').collect();
            if ahead.next() == Some(']') {
                if !NAMED_CLASSES.contains(&name.strip_prefix('^').unwrap_or(&name)) {
                    return Err(format!("[:{name}:] is not known"));
                }
                let _ = write!(self.out, "[:{name}:]");
                self.rest = ahead;
                return Ok(None);
            }
        }
        if c != '\\' {
            return Ok(octets(c));
        }
        let c = self.rest.next().ok_or("a backslash at the end")?;
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
                let _ = write!(self.out, "\\{c}");
                Ok(None)
            }
            'b' => Ok(Some((8, Vec::new()))),
            'E' => Ok(None),
            'Q' => {
                let quoted = self.quoted();
                quoted.bytes().for_each(|octet| self.octet(octet));
                Ok(None)
            }
            _ => match shorthand(c) {
                Some((inside, false)) => {
                    self.out.push_str(inside);
                    Ok(None)
                }
                Some((inside, true)) => {
                    let _ = write!(self.out, "[^{inside}]");
                    Ok(None)
                }
                None => Ok(match self.character(c)? {
                    Character::Octet(octet) => Some((octet, Vec::new())),
                    Character::Char(c) => octets(c),
                }),
            },
        }
    }
}

/// What may stand in `[:name:]`.
const NAMED_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

enum Character {
    Octet(u8),
    Char(char),
}

/// `\h` and `\v` are classes of octets that the engines do not have, or read otherwise.
fn shorthand(c: char) -> Option<(&'static str, bool)> {
    match c {
        'h' => Some((r"\t\x20\xA0", false)),
        'H' => Some((r"\t\x20\xA0", true)),
        'v' => Some((r"\n-\r\x85", false)),
        'V' => Some((r"\n-\r\x85", true)),
        _ => None,
    }
}
