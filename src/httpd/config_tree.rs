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

/// Tells whether a variable of requests may be set at all: whether its name stands anywhere in the
/// configuration, or somebody we cannot look into might set it. Who is never set need not be asked for.
pub fn can_be_set(name: &CStr) -> bool {
    let name = name.to_bytes();
    let mut can_be_set = ["mod_lua.c", "mod_perl.c"].into_iter().any(is_loaded);
    each(&mut |directive, words| {
        // A file of any directory may then set what it likes.
        let is_open = directive.eq_ignore_ascii_case(b"AllowOverride")
            && !words.trim_ascii().eq_ignore_ascii_case(b"None");
        let is_named = words.windows(name.len()).any(|word| word.eq_ignore_ascii_case(name));
        can_be_set |= is_open || is_named;
    });
    can_be_set
}

fn is_loaded(module: &str) -> bool {
    let Ok(module) = std::ffi::CString::new(module) else { return false };
    // SAFETY: looks a name up in httpd's list of modules.
    unsafe { !httpd::ap_find_linked_module(module.as_ptr()).is_null() }
}
