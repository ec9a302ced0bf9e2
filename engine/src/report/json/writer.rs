//! Writes JSON: objects and arrays as closures, so that they always end.

use core::fmt::Write as _;

/// An object under construction.
pub struct Object<'a> {
    out: &'a mut String,
    is_begun: bool,
}

/// An array under construction.
pub struct Array<'a> {
    out: &'a mut String,
    is_begun: bool,
}

/// Writes an object that stands by itself.
pub fn object(fill: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::new();
    write_object(&mut out, fill);
    out
}

fn write_object(out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    fill(&mut Object { out, is_begun: false });
    out.push('}');
}

impl Object<'_> {
    fn name(&mut self, name: &str) -> &mut String {
        if self.is_begun {
            self.out.push(',');
        }
        self.is_begun = true;
        quote(self.out, name);
        self.out.push(':');
        self.out
    }

    /// Writes a member that is text.
    pub fn text(&mut self, name: &str, value: &str) {
        quote(self.name(name), value);
    }

    /// Writes a member that is a whole number.
    pub fn number(&mut self, name: &str, value: u64) {
        // A String takes everything, here and below.
        let _ = write!(self.name(name), "{value}");
    }

    /// Writes a member that is a number with two decimals, or null.
    pub fn decimal(&mut self, name: &str, value: Option<f64>) {
        let out = self.name(name);
        let _ = match value.filter(|value| value.is_finite()) {
            Some(value) => write!(out, "{value:.2}"),
            None => out.write_str("null"),
        };
    }

    /// Writes a member that is true or false.
    pub fn flag(&mut self, name: &str, value: bool) {
        let _ = write!(self.name(name), "{value}");
    }

    /// Writes a member that is an object.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        write_object(self.name(name), fill);
    }

    /// Writes a member that is an array.
    pub fn array(&mut self, name: &str, fill: impl FnOnce(&mut Array<'_>)) {
        let out = self.name(name);
        out.push('[');
        fill(&mut Array { out, is_begun: false });
        out.push(']');
    }
}

impl Array<'_> {
    /// Writes an element that is an object.
    pub fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        if self.is_begun {
            self.out.push(',');
        }
        self.is_begun = true;
        write_object(self.out, fill);
    }
}

/// Writes text in quotes. What could end a script or a line is escaped, too.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '<' | '>' | '&' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => escape(out, letter),
            letter if letter < ' ' => escape(out, letter),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

fn escape(out: &mut String, letter: char) {
    let _ = write!(out, "\\u{:04x}", u32::from(letter));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_are_parted_and_text_is_escaped() {
        let text = object(|out| {
            out.number("a", 1);
            out.decimal("b", Some(0.456));
            out.decimal("c", None);
            out.decimal("d", Some(f64::NAN));
            out.flag("e", true);
            out.array("f", |out| {
                out.object(|_| {});
                out.object(|out| out.text("g", "x\"\\\n\u{0}\u{2028}\u{9f}</a>&\u{e9}"));
            });
            out.object("h", |_| {});
        });
        assert_eq!(
            text,
            "{\"a\":1,\"b\":0.46,\"c\":null,\"d\":null,\"e\":true,\"f\":[{},{\"g\":\"x\\\"\\\\\\u000a\\u0000\
             \\u2028\\u009f\\u003c/a\\u003e\\u0026\u{e9}\"}],\"h\":{}}"
        );
    }
}
