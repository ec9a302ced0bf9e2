//! Text that somebody else has written, in a page. The only way for it to get there.

use core::fmt::{self, Write};

/// Anything that can be shown, with all that means something in HTML escaped.
pub struct Escaped<T>(pub T);

/// Text of a request, which need not be text at all.
pub fn octets(octets: &[u8]) -> Escaped<std::borrow::Cow<'_, str>> {
    Escaped(String::from_utf8_lossy(octets))
}

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                letter if letter.is_control() => self.0.write_char('\u{fffd}')?,
                letter => self.0.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// Octets of a path or a parameter, as they stand in a link.
pub struct InLink<'a>(pub &'a [u8]);

impl fmt::Display for InLink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0 {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    f.write_char(char::from(*octet))?;
                }
                octet => write!(f, "%{octet:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_gets_through() {
        assert_eq!(
            octets(b"<script>\"'&amp;\0\n\x1b[1m\xff</script>").to_string(),
            "&lt;script&gt;&quot;&#39;&amp;amp;\u{fffd}\u{fffd}\u{fffd}[1m\u{fffd}&lt;/script&gt;"
        );
        assert_eq!(Escaped(5).to_string(), "5");
        assert_eq!(InLink(b"/a b\"<>&?#%\xe9").to_string(), "/a%20b%22%3C%3E%26%3F%23%25%E9");
    }
}
