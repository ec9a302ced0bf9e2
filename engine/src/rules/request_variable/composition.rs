//! `QS_SetEnv`

use crate::context::RequestView;
use crate::directive::Arguments;
use crate::lasting;
use crate::values::Problem;
use core::ffi::CStr;
use std::ffi::CString;

/// A value may name others, and those others again: so often, and up to this length. Beyond that it
/// names itself, or somebody wants to fill the memory.
const MOST_NAMES: usize = 64;
const LONGEST: usize = 8 * 1024;

#[derive(Debug)]
pub(super) struct Composition {
    variable: &'static CStr,
    value: &'static CStr,
}

impl Composition {
    pub(super) fn read(arguments: &Arguments<'_>) -> Result<Composition, Problem> {
        let (name, value) = (arguments.first(), arguments.second().unwrap_or(""));
        if name.contains('=') {
            return Err(Problem::text("variable must not contain a '='"));
        }
        if name.is_empty() || value.is_empty() {
            return Err(Problem::text("invalid parameter"));
        }
        Ok(Composition { variable: lasting::variable(name)?, value: lasting::text(value)? })
    }

    pub(super) fn apply(&self, request: &mut dyn RequestView) {
        match compose(self.value.to_bytes(), request) {
            Some(None) => request.set_lasting(self.variable, self.value),
            Some(Some(value)) => request.set_variable(self.variable, &value),
            None => {}
        }
    }
}

/// Returns the value with all names replaced, `Some(None)` if it has none, and nothing if one is not set.
fn compose(template: &[u8], request: &dyn RequestView) -> Option<Option<Vec<u8>>> {
    let mut value: Option<Vec<u8>> = None;
    for _ in 0..MOST_NAMES {
        let current = value.as_deref().unwrap_or(template);
        let Some(start) = current.windows(2).position(|two| two == b"${") else {
            return Some(value);
        };
        let (before, from) = current.split_at_checked(start)?;
        let length = from.iter().position(|octet| *octet == b'}')?;
        let name = CString::new(from.get(2..length)?).ok()?;
        let inserted = request.variable(&name)?;
        let next = [before, inserted, from.get(length + 1..)?].concat();
        if next.len() > LONGEST {
            return None;
        }
        value = Some(next);
    }
    None
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::testing::View;

    #[test]
    fn names_are_replaced_as_long_as_there_are_some() {
        let view = View::with("A", "1").and("B", "<${A}>").and("LOOP", "x${LOOP}").and("E", "");
        for (template, expected) in [
            ("v${A}w", Some("v1w")),
            ("${A}${A}", Some("11")),
            ("${B}", Some("<1>")),
            ("${E}", Some("")),
            ("${NONE}", None),
            ("${LOOP}", None),
            ("${A", None),
            ("${}", None),
            ("$A{}", Some("$A{}")),
        ] {
            let value = compose(template.as_bytes(), &view);
            let value = value.map(|value| value.unwrap_or_else(|| template.as_bytes().to_vec()));
            assert_eq!(value.as_deref(), expected.map(str::as_bytes), "{template}");
        }
        assert_eq!(compose(b"plain", &view), Some(None));
    }
}
