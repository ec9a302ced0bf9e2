//! Who may have to do with a variable of requests: what nobody can read need not be written, and what
//! nobody can set need not be looked for. Decided once for each configuration.

use crate::ffi::bindings as httpd;
use crate::httpd::config_tree;
use core::ffi::{CStr, c_char};
use qos_engine::rules::SETTING_LATE;

/// httpd's own modules that touch no variable but those that the configuration names. Of all others
/// nothing is known: scripts, proxies to scripts, included files and languages read what they like.
const HARMLESS: &[&[u8]] = &[
    b"core.c",
    b"http_core.c",
    b"mod_access_compat.c",
    b"mod_actions.c",
    b"mod_alias.c",
    b"mod_allowmethods.c",
    b"mod_asis.c",
    b"mod_auth_basic.c",
    b"mod_auth_digest.c",
    b"mod_auth_form.c",
    b"mod_authn_anon.c",
    b"mod_authn_core.c",
    b"mod_authn_dbd.c",
    b"mod_authn_dbm.c",
    b"mod_authn_file.c",
    b"mod_authn_socache.c",
    b"mod_authnz_ldap.c",
    b"mod_authz_core.c",
    b"mod_authz_dbd.c",
    b"mod_authz_dbm.c",
    b"mod_authz_groupfile.c",
    b"mod_authz_host.c",
    b"mod_authz_owner.c",
    b"mod_authz_user.c",
    b"mod_autoindex.c",
    b"mod_brotli.c",
    b"mod_buffer.c",
    b"mod_cache.c",
    b"mod_cache_disk.c",
    b"mod_cache_socache.c",
    b"mod_dav.c",
    b"mod_dav_fs.c",
    b"mod_dav_lock.c",
    b"mod_dbd.c",
    b"mod_deflate.c",
    b"mod_dir.c",
    b"mod_dumpio.c",
    b"mod_env.c",
    b"mod_expires.c",
    b"mod_file_cache.c",
    b"mod_filter.c",
    b"mod_headers.c",
    b"mod_heartbeat.c",
    b"mod_heartmonitor.c",
    b"mod_http2.c",
    b"mod_info.c",
    b"mod_lbmethod_bybusyness.c",
    b"mod_lbmethod_byrequests.c",
    b"mod_lbmethod_bytraffic.c",
    b"mod_lbmethod_heartbeat.c",
    b"mod_log_config.c",
    b"mod_log_debug.c",
    b"mod_log_forensic.c",
    b"mod_logio.c",
    b"mod_macro.c",
    b"mod_md.c",
    b"mod_mime.c",
    b"mod_mime_magic.c",
    b"mod_mpm_event.c",
    b"mod_mpm_prefork.c",
    b"mod_mpm_worker.c",
    b"mod_negotiation.c",
    b"mod_proxy.c",
    b"mod_proxy_balancer.c",
    b"mod_proxy_connect.c",
    b"mod_proxy_express.c",
    b"mod_proxy_ftp.c",
    b"mod_proxy_hcheck.c",
    b"mod_proxy_html.c",
    b"mod_proxy_http.c",
    b"mod_proxy_http2.c",
    b"mod_proxy_wstunnel.c",
    b"mod_qos.c",
    b"mod_ratelimit.c",
    b"mod_remoteip.c",
    b"mod_reqtimeout.c",
    b"mod_request.c",
    b"mod_rewrite.c",
    b"mod_sed.c",
    b"mod_session.c",
    b"mod_session_cookie.c",
    b"mod_session_crypto.c",
    b"mod_session_dbd.c",
    b"mod_setenvif.c",
    b"mod_slotmem_plain.c",
    b"mod_slotmem_shm.c",
    b"mod_so.c",
    b"mod_socache_dbm.c",
    b"mod_socache_memcache.c",
    b"mod_socache_redis.c",
    b"mod_socache_shmcb.c",
    b"mod_speling.c",
    b"mod_ssl.c",
    b"mod_status.c",
    b"mod_substitute.c",
    b"mod_unique_id.c",
    b"mod_unixd.c",
    b"mod_userdir.c",
    b"mod_usertrack.c",
    b"mod_version.c",
    b"mod_vhost_alias.c",
    b"mod_watchdog.c",
    b"mod_xml2enc.c",
    b"prefork.c",
    b"worker.c",
    b"event.c",
    b"util_ldap.c",
];

/// What the configuration says of variables.
pub struct Users {
    /// Somebody may do with variables what he likes.
    is_anybody: bool,
    /// The words of all directives, in lower case.
    words: Vec<u8>,
    /// Of those, what acts before a request's content.
    early: Vec<u8>,
}

impl Users {
    /// Looks at the configuration that is being brought into force.
    pub fn of_this_configuration() -> Users {
        let is_anybody = has_unknown_modules();
        let mut users = Users { is_anybody, words: Vec::new(), early: Vec::new() };
        config_tree::each(&mut |directive, words| users.take(directive, words));
        users
    }

    fn take(&mut self, directive: &[u8], words: &[u8]) {
        let is = |name: &str| directive.eq_ignore_ascii_case(name.as_bytes());
        let says = |word: &str| words.trim_ascii().eq_ignore_ascii_case(word.as_bytes());
        // A file in any directory may then name what it likes; and QS_LogEnv names all there are.
        let is_open = (is("AllowOverride") || is("AllowOverrideList")) && !says("None");
        let is_rewritten = is("RewriteRule") && sets_any_name(words);
        self.is_anybody |= is_open || is_rewritten || (is("QS_LogEnv") && !says("off"));
        let words = || words.iter().map(u8::to_ascii_lowercase).chain([b'\n']);
        self.words.extend(words());
        if !SETTING_LATE.into_iter().any(is) {
            self.early.extend(words());
        }
    }

    /// Tells whether anybody may read or set this variable, besides us.
    pub fn may_use(&self, variable: &CStr) -> bool {
        self.is_anybody || names(&self.words, variable)
    }

    /// Tells whether anybody may set it before a request's content, by more than what looks at the response.
    pub fn may_set_early(&self, variable: &CStr) -> bool {
        self.is_anybody || names(&self.early, variable)
    }
}

/// Tells whether a RewriteRule makes the name of a variable of what it finds: `[E=$1:1]`, `[env=$1:1]`.
fn sets_any_name(words: &[u8]) -> bool {
    [b"E=".as_slice(), b"env="].into_iter().any(|flag| {
        words.windows(flag.len()).zip(flag.len()..).any(|(found, end)| {
            let name = words.get(end..).unwrap_or(b"");
            let name =
                name.split(|octet| matches!(octet, b':' | b',' | b']')).next().unwrap_or(b"");
            found.eq_ignore_ascii_case(flag)
                && name.iter().any(|octet| matches!(octet, b'$' | b'%'))
        })
    })
}

fn names(words: &[u8], variable: &CStr) -> bool {
    let name = variable.to_bytes().to_ascii_lowercase();
    name.is_empty() || words.windows(name.len()).any(|w| w == name)
}

fn has_unknown_modules() -> bool {
    // SAFETY: httpd's list of the modules that are loaded, which does not change meanwhile.
    let mut next = unsafe { httpd::ap_top_module };
    // SAFETY: null, or a module of that list.
    while let Some(module) = unsafe { next.as_ref() } {
        let name = text(module.name);
        let file = name.rsplit(|octet| *octet == b'/').next().unwrap_or(name);
        if !HARMLESS.contains(&file) {
            return true;
        }
        next = module.next;
    }
    false
}

fn text<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return b"";
    }
    // SAFETY: C text of the configuration or of a module, which stay while it is read.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}
