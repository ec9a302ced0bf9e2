//! Names and values that the configuration says once and every request uses.
//!
//! httpd's tables keep pointers. Text that lives as long as the process can stand in them without being
//! copied for each request. It is kept for good, each text once, so restarts add nothing.

use crate::values::Problem;
use core::ffi::CStr;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

/// All texts so far. Only the reader of the configuration comes here, in the parent.
static TEXTS: Mutex<BTreeSet<&'static CStr>> = Mutex::new(BTreeSet::new());

/// Returns a text as one that lasts.
pub fn text(text: &str) -> Result<&'static CStr, Problem> {
    let text = CString::new(text).map_err(|_| Problem::word(text, "text without a NUL octet"))?;
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text.as_c_str()) {
        return Ok(known);
    }
    let text: &'static CStr = Box::leak(text.into_boxed_c_str());
    texts.insert(text);
    Ok(text)
}

/// Returns the name of a variable as one that lasts.
pub fn variable(name: &str) -> Result<&'static CStr, Problem> {
    if name.is_empty() || name.contains(['=', '!']) {
        return Err(Problem::word(name, "the name of a variable"));
    }
    text(name)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once() {
        let (first, second) = (text("QS_Some").expect("text"), text("QS_Some").expect("text"));
        assert!(core::ptr::eq(first, second));
        assert_eq!(first, c"QS_Some");
        assert!(text("a\0b").is_err());
    }

    #[test]
    fn a_variable_has_a_name() {
        assert!(["a", "QS_X.1", "\u{e4}"].into_iter().all(|name| variable(name).is_ok()));
        assert!(["", "a=b", "!a"].into_iter().all(|name| variable(name).is_err()));
    }
}
