//! Values into which a match puts its groups: `$0` to `$9`.

use super::pattern::Groups;
use crate::lasting;
use crate::values::Problem;
use core::ffi::CStr;
use std::borrow::Cow;

/// A value of the configuration. `$` and a digit is the group of that number, empty if it took no part;
/// `\$` is a dollar; everything else stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The value without groups, if it has none.
    plain: Vec<u8>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Group(usize),
    Variable(&'static CStr),
}

impl Template {
    /// Reads a value; every text is one.
    pub fn parse(value: &str) -> Template {
        Template::read(value, |_| None)
    }

    /// Reads a value in which `${NAME}` is another variable, empty where it is not set.
    pub fn parse_with_variables(value: &str) -> Result<Template, Problem> {
        let mut problem = None;
        let template = Template::read(value, |name| {
            lasting::variable(name).map_err(|error| problem = Some(error)).ok()
        });
        problem.map_or(Ok(template), Err)
    }

    fn read(value: &str, mut variable: impl FnMut(&str) -> Option<&'static CStr>) -> Template {
        let mut parts = Vec::new();
        let mut text = Vec::new();
        let mut rest = value;
        while let Some(at) = rest.find(['$', '\\']) {
            let (before, from) = rest.split_at(at);
            text.extend_from_slice(before.as_bytes());
            let behind = from.get(1..).unwrap_or("");
            let part = if from.starts_with('\\') {
                rest = behind;
                text.push(b'\\');
                if let Some(after) = behind.strip_prefix('$') {
                    text.pop();
                    text.push(b'$');
                    rest = after;
                }
                continue;
            } else if let Some(digit) = behind.bytes().next().filter(u8::is_ascii_digit) {
                rest = behind.get(1..).unwrap_or("");
                Part::Group(usize::from(digit - b'0'))
            } else if let Some((name, after)) =
                behind.strip_prefix('{').and_then(|inside| inside.split_once('}'))
                && let Some(name) = variable(name)
            {
                rest = after;
                Part::Variable(name)
            } else {
                text.push(b'$');
                rest = behind;
                continue;
            };
            if !text.is_empty() {
                parts.push(Part::Text(core::mem::take(&mut text)));
            }
            parts.push(part);
        }
        text.extend_from_slice(rest.as_bytes());
        if parts.is_empty() {
            return Template { plain: text, parts };
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Template { plain: Vec::new(), parts }
    }

    /// A value that is taken as it is.
    pub fn literal(value: &str) -> Template {
        Template { plain: value.as_bytes().to_vec(), parts: Vec::new() }
    }

    /// Returns the value if no match changes it: then nobody has to ask for groups.
    pub fn plain(&self) -> Option<&[u8]> {
        self.parts.is_empty().then_some(self.plain.as_slice())
    }

    /// Puts the groups of a match in.
    pub fn fill(&self, groups: &Groups<'_>) -> Cow<'_, [u8]> {
        self.fill_with(groups, &|_| None)
    }

    /// Puts the groups of a match in, and other variables.
    pub fn fill_with<'v>(
        &self,
        groups: &Groups<'_>,
        variable: &dyn Fn(&CStr) -> Option<&'v [u8]>,
    ) -> Cow<'_, [u8]> {
        if let Some(plain) = self.plain() {
            return Cow::Borrowed(plain);
        }
        let mut value = Vec::new();
        for part in &self.parts {
            value.extend_from_slice(match part {
                Part::Text(text) => text,
                Part::Group(number) => groups.get(*number).unwrap_or_default(),
                Part::Variable(name) => variable(name).unwrap_or_default(),
            });
        }
        Cow::Owned(value)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::matching::pattern::{Options, Pattern};

    fn filled(pattern: &str, subject: &str, value: &str) -> String {
        let pattern = Pattern::new(pattern, Options::default()).unwrap();
        let groups = pattern.groups(subject.as_bytes()).unwrap();
        String::from_utf8(Template::parse(value).fill(&groups).into_owned()).unwrap()
    }

    #[test]
    fn groups_take_their_places() {
        for (pattern, subject, value, expected) in [
            ("^(x+)(y+)$", "xxy", "$2$1", "yxx"),
            ("id=([0-9]*)", "a&id=17&b", "<$1>", "<17>"),
            ("id=([0-9]*)", "a&id=17&b", "$0", "id=17"),
            ("(a)|(b)", "b", "[$1][$2][$3]", "[][b][]"),
            ("a", "a", r"\$1", "$1"),
            ("(a)", "a", r"\\$1", r"\$1"),
            ("(a)", "a", "&$1&", "&a&"),
            ("(a)", "a", "$", "$"),
            ("(a)", "a", "$x$1$", "$xa$"),
            ("(a)", "a", "$10", "a0"),
            ("(a)", "a", r"\n$1", r"\na"),
        ] {
            assert_eq!(filled(pattern, subject, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn a_value_without_groups_is_known_before() {
        assert_eq!(Template::parse("a=b").plain(), Some(b"a=b".as_slice()));
        assert_eq!(Template::parse(r"\$1").plain(), Some(b"$1".as_slice()));
        assert_eq!(Template::parse("").plain(), Some(b"".as_slice()));
        assert_eq!(Template::parse("$1").plain(), None);
        assert_eq!(Template::literal("$1").plain(), Some(b"$1".as_slice()));
    }
}
