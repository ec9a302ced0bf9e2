//! httpd's configuration as it was read, before any module made something of it.

use crate::ffi::bindings as httpd;
use core::ffi::{CStr, c_char};

/// Hands every directive to `tell`: its name and its arguments as one text. What stands in a section
/// comes behind the section's own line, and before what follows the section.
pub fn each(tell: &mut dyn FnMut(&[u8], &[u8])) {
    // SAFETY: httpd's tree of the configuration that is being brought into force; nobody changes it.
    let mut open: Vec<*const httpd::ap_directive_t> = vec![unsafe { httpd::ap_conftree }];
    while let Some(directive) = open.pop() {
        // SAFETY: null, or a node of that tree.
        let Some(directive) = (unsafe { directive.as_ref() }) else { continue };
        tell(text(directive.directive), text(directive.args));
        open.extend([directive.next.cast_const(), directive.first_child.cast_const()]);
    }
}

fn text<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return b"";
    }
    // SAFETY: C text of the configuration.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}
