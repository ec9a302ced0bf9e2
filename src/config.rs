//! The engine's directives as httpd's command table, and the settings of servers and locations.
//!
//! There is no function per directive: httpd hands each trampoline the number of the directive it was
//! called for, and the engine does the rest.

use crate::ffi::bindings::{self as httpd, apr_pool_t, cmd_parms, command_rec, server_rec};
use crate::ffi::guard::{Callback, guard};
use crate::helper::Helper;
use crate::httpd::piped_log::PipedLog;
use crate::httpd::pool::Pool;
use core::cell::{Cell, OnceCell};
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;
use qos_engine::directive::{About, Arguments, Arity, InLocation, Place, Scope};
use qos_engine::rules::{self, LocationSettings, Policy, Settings};

/// What a server of the configuration has from us. A virtual host without a directive of ours has the
/// base server's very object, so it shares its limits and counters (model.md 3).
pub struct ServerConfig {
    /// As written, merged with the base server's.
    pub settings: Settings,
    /// As enforced; resolved once all of the configuration is known.
    pub policy: OnceCell<Policy>,
    /// The row of the server's counters.
    pub scope: Cell<u32>,
    /// Where a line is written for each request: the same for all servers.
    pub request_log: Cell<Option<PipedLog>>,
    /// The server's helper process, with the base server (parent only).
    pub helper: Cell<Option<&'static Helper>>,
}

impl ServerConfig {
    fn new(settings: Settings) -> ServerConfig {
        ServerConfig {
            settings,
            policy: OnceCell::new(),
            scope: Cell::new(0),
            request_log: Cell::new(None),
            helper: Cell::new(None),
        }
    }
}

/// httpd's table of commands: one row per directive, a row of zeroes at its end.
pub static COMMANDS: CommandTable = CommandTable::new();

/// A table that httpd only reads.
pub struct CommandTable([command_rec; rules::COUNT + 1]);

// SAFETY: constant data; the pointers in it are to constants.
unsafe impl Sync for CommandTable {}

impl CommandTable {
    /// Returns the table as httpd wants it.
    pub const fn as_ptr(&self) -> *const command_rec {
        self.0.as_ptr()
    }

    const fn new() -> CommandTable {
        let mut table = [END; rules::COUNT + 1];
        let mut index = 0;
        while index < rules::COUNT {
            #[allow(clippy::indexing_slicing)] // evaluated by the compiler
            {
                table[index] = row(rules::ABOUT[index], index);
            }
            index += 1;
        }
        CommandTable(table)
    }
}

const END: command_rec = command_rec {
    name: core::ptr::null(),
    func: httpd::cmd_func { no_args: None },
    cmd_data: null_mut(),
    req_override: 0,
    args_how: httpd::RAW_ARGS,
    errmsg: core::ptr::null(),
};

const fn row(about: &'static About, index: usize) -> command_rec {
    let (func, args_how) = match about.arity {
        // httpd itself would take them without a word.
        Arity::None => (httpd::cmd_func { take_argv: Some(take_argv) }, httpd::TAKE_ARGV),
        Arity::One => (httpd::cmd_func { take1: Some(take1) }, httpd::TAKE1),
        Arity::Two => (httpd::cmd_func { take2: Some(take2) }, httpd::TAKE2),
        Arity::Three => (httpd::cmd_func { take3: Some(take3) }, httpd::TAKE3),
        Arity::TwoOrThree => (httpd::cmd_func { take3: Some(take3) }, httpd::TAKE23),
        Arity::OneOrTwo => (httpd::cmd_func { take2: Some(take2) }, httpd::TAKE12),
        Arity::OneToThree => (httpd::cmd_func { take3: Some(take3) }, httpd::TAKE123),
        Arity::Any => (httpd::cmd_func { take_argv: Some(take_argv) }, httpd::TAKE_ARGV),
    };
    let context = match about.scope {
        Scope::BaseServer | Scope::Server => httpd::RSRC_CONF,
        Scope::Location => httpd::RSRC_CONF | httpd::ACCESS_CONF,
    };
    command_rec {
        name: about.name.as_ptr(),
        func,
        cmd_data: core::ptr::without_provenance_mut(index),
        req_override: context as c_int,
        args_how,
        errmsg: about.arguments.as_ptr(),
    }
}

unsafe extern "C" fn take1(
    command: *mut cmd_parms,
    location: *mut c_void,
    word: *const c_char,
) -> *const c_char {
    // SAFETY: httpd's contract for TAKE1.
    unsafe { take(command, location, &[word]) }
}

unsafe extern "C" fn take2(
    command: *mut cmd_parms,
    location: *mut c_void,
    first: *const c_char,
    second: *const c_char,
) -> *const c_char {
    // SAFETY: httpd's contract for TAKE2 and TAKE12; a missing word is null.
    unsafe { take(command, location, &[first, second]) }
}

unsafe extern "C" fn take3(
    command: *mut cmd_parms,
    location: *mut c_void,
    first: *const c_char,
    second: *const c_char,
    third: *const c_char,
) -> *const c_char {
    // SAFETY: httpd's contract for TAKE3, TAKE23 and TAKE123; a missing word is null.
    unsafe { take(command, location, &[first, second, third]) }
}

unsafe extern "C" fn take_argv(
    command: *mut cmd_parms,
    location: *mut c_void,
    count: c_int,
    words: *const *mut c_char,
) -> *const c_char {
    let count = usize::try_from(count).unwrap_or(0);
    let words = if words.is_null() || count == 0 {
        &[]
    } else {
        // SAFETY: httpd's contract for TAKE_ARGV: `count` pointers to C text.
        unsafe { core::slice::from_raw_parts(words.cast::<*const c_char>(), count) }
    };
    // SAFETY: as above.
    unsafe { take(command, location, words) }
}

/// Records one use of a directive. Returns an error text, or null.
///
/// # Safety
/// `command` and `location` are what httpd hands to a command function, `words` are null or C text.
unsafe fn take(
    command: *mut cmd_parms,
    location: *mut c_void,
    words: &[*const c_char],
) -> *const c_char {
    static CALLBACK: Callback = Callback::new("directive");
    let failed = c"mod_qos_rs: internal error while reading a directive".as_ptr();
    guard(&CALLBACK, failed, || {
        // SAFETY: httpd hands a valid record.
        let command = unsafe { &*command };
        // SAFETY: the record's own command, of our table.
        let index = unsafe { (*command.cmd).cmd_data }.addr();
        let words: Vec<String> = words
            .iter()
            .filter(|word| !word.is_null())
            // SAFETY: C text by contract, alive during this call.
            .map(|word| unsafe { CStr::from_ptr(*word) }.to_string_lossy().into_owned())
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // SAFETY: httpd hands the server whose section is being read.
        let is_virtual = unsafe { (*command.server).is_virtual != 0 };
        let place = if !command.path.is_null() {
            Place::Location
        } else if is_virtual {
            Place::VirtualHost
        } else {
            Place::BaseServer
        };
        if is_served_by_another(index) {
            return httpd::DECLINE_CMD.as_ptr().cast();
        }
        let arguments = Arguments {
            words: &words,
            place,
            directory_exists: |path| std::path::Path::new(path).is_dir(),
            load_countries: crate::countries::load,
        };
        // SAFETY: httpd made both objects by our create functions before it calls a command, and
        // nobody else looks at them while it reads the configuration, in one thread.
        let result = unsafe {
            let config = httpd::ap_get_module_config(
                (*command.server).module_config,
                &raw const crate::qos_module,
            );
            let (Some(config), Some(location)) = (
                config.cast::<ServerConfig>().as_mut(),
                location.cast::<LocationSettings>().as_mut(),
            ) else {
                return failed;
            };
            rules::set(index, &mut config.settings, location, &arguments)
        };
        match result {
            Ok(()) => core::ptr::null(),
            Err(text) => {
                // SAFETY: the pool of the configuration lives while httpd shows the text.
                let pool = unsafe { Pool::new(command.pool) };
                pool.map_or(failed, |pool| pool.copy(text.as_bytes()))
            }
        }
    })
}

/// `SetEnvIfPlus` belongs to another module, which may be loaded: then it serves the directive.
fn is_served_by_another(index: usize) -> bool {
    let is_plus =
        rules::ABOUT.get(index).is_some_and(|about| about.name().starts_with("SetEnvIfPlus"));
    // SAFETY: looks a name up in httpd's list of modules.
    is_plus && unsafe { !httpd::ap_find_linked_module(c"mod_setenvifplus.c".as_ptr()).is_null() }
}

pub unsafe extern "C" fn create_server_config(
    pool: *mut apr_pool_t,
    _: *mut server_rec,
) -> *mut c_void {
    static CALLBACK: Callback = Callback::new("create_server_config");
    guard(&CALLBACK, null_mut(), || {
        // SAFETY: httpd's pool of the configuration.
        own(unsafe { Pool::new(pool) }, ServerConfig::new(Settings::default()))
    })
}

pub unsafe extern "C" fn merge_server_config(
    pool: *mut apr_pool_t,
    base: *mut c_void,
    own_config: *mut c_void,
) -> *mut c_void {
    static CALLBACK: Callback = Callback::new("merge_server_config");
    guard(&CALLBACK, own_config, || {
        // SAFETY: both were made by `create_server_config` from the same configuration.
        let (base, ours) = unsafe {
            (&*base.cast_const().cast::<ServerConfig>(), &*own_config.cast::<ServerConfig>())
        };
        // SAFETY: httpd's pool of the configuration.
        own(unsafe { Pool::new(pool) }, ServerConfig::new(ours.settings.over(&base.settings)))
    })
}

pub unsafe extern "C" fn create_dir_config(pool: *mut apr_pool_t, _: *mut c_char) -> *mut c_void {
    static CALLBACK: Callback = Callback::new("create_dir_config");
    guard(&CALLBACK, null_mut(), || {
        // SAFETY: httpd's pool of the configuration.
        own(unsafe { Pool::new(pool) }, LocationSettings::default())
    })
}

/// Called for each request whose URL is in a section of ours: it allocates only where an inner section
/// meets an outer one that says something, too.
pub unsafe extern "C" fn merge_dir_config(
    pool: *mut apr_pool_t,
    outer: *mut c_void,
    inner: *mut c_void,
) -> *mut c_void {
    static CALLBACK: Callback = Callback::new("merge_dir_config");
    guard(&CALLBACK, inner, || {
        // SAFETY: both were made by `create_dir_config` or here, and outlive what is merged from them.
        let (o, i) = unsafe {
            (&*outer.cast_const().cast::<LocationSettings>(), &*inner.cast::<LocationSettings>())
        };
        if o.is_empty() {
            return inner;
        }
        if i.is_empty() {
            return outer;
        }
        let merged = i.over(o);
        // SAFETY: httpd's pool of the request or the configuration.
        own(unsafe { Pool::new(pool) }, merged)
    })
}

fn own<T>(pool: Option<Pool>, value: T) -> *mut c_void {
    pool.map_or(null_mut(), |pool| pool.own(value).cast())
}

/// Returns what stands in our place of a vector of httpd's, as its macro `ap_get_module_config` does: it is
/// asked for many times in each request.
///
/// # Safety
/// `vector` is null or a configuration vector of httpd's, made after this module was loaded.
pub unsafe fn look(vector: *mut httpd::ap_conf_vector_t) -> *mut c_void {
    if vector.is_null() {
        return null_mut();
    }
    // SAFETY: httpd sets the number when it loads the module, before it makes any vector; a vector has a
    // pointer for each loaded module, by its number.
    unsafe {
        let index = (&raw const crate::qos_module.module_index).read();
        *vector.cast::<*mut c_void>().offset(index as isize)
    }
}

/// Returns our configuration of a server.
///
/// # Safety
/// `vector` is the configuration vector of a server, alive while the result is used.
pub unsafe fn of_server<'a>(vector: *mut httpd::ap_conf_vector_t) -> Option<&'a ServerConfig> {
    // SAFETY: what stands in our place of a server's vector was made by the functions above.
    unsafe { look(vector).cast::<ServerConfig>().as_ref() }
}

/// Tells whether a server's connections are counted for itself (model.md 3).
pub fn owns_counters(is_virtual: bool, policy: &Policy, base: &Policy) -> bool {
    !is_virtual || policy.connection_limit.has_own_limit || !base.connection_limit.has_own_limit
}

/// Returns our configuration of a location.
///
/// # Safety
/// `vector` is the per-directory vector of a request, alive while the result is used.
pub unsafe fn of_location<'a>(
    vector: *mut httpd::ap_conf_vector_t,
) -> Option<&'a LocationSettings> {
    // SAFETY: as above.
    unsafe { look(vector).cast::<LocationSettings>().as_ref() }
}
