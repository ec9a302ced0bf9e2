//! The server's life: configuration checked, segment found, children born and gone.

use crate::config::{self, ServerConfig};
use crate::countries::{self, server_root};
use crate::ffi::bindings::{self as httpd, apr_pool_t, server_rec};
use crate::ffi::guard::{Callback, guard};
use crate::helper::{self, Helper};
use crate::hooks::periodic;
use crate::httpd::{
    keep_alive, mpm, piped_log::PipedLog, pool::Pool, random, scoreboard, server::Server,
    users::Users,
};
use crate::monitor;
use crate::shm::{child, segment};
use core::ffi::c_int;
use qos_engine::log_event::{self, Level, LogEvent};
use qos_engine::rules::{
    Bound, Policy, client_identity, connection_limit, geo, request_limit, request_log,
    server as server_rules, variable, vip_session,
};
use qos_engine::store::owned;
use qos_engine::values::Unreachable;
use std::collections::HashMap;
use std::ffi::CString;

const OK: c_int = httpd::OK as c_int;
const FAILED: c_int = httpd::HTTP_INTERNAL_SERVER_ERROR as c_int;

/// Returns the servers whose configuration is an object of their own: the base server first.
fn owners(base: Server) -> Vec<(Server, &'static ServerConfig)> {
    let mut seen: Vec<(Server, &'static ServerConfig)> = Vec::new();
    for server in base.and_following() {
        // SAFETY: the configuration that httpd is bringing into force; the list does not outlive it.
        let config = unsafe { config::of_server(server.config_vector()) };
        if let Some(config) = config
            && !seen.iter().any(|(_, known)| core::ptr::eq(*known, config))
        {
            seen.push((server, config));
        }
    }
    seen
}

/// What only several directives together can be wrong about. `apachectl -t` comes by here.
pub unsafe extern "C" fn check_config(
    _: *mut apr_pool_t,
    _: *mut apr_pool_t,
    _: *mut apr_pool_t,
    base: *mut server_rec,
) -> c_int {
    static CALLBACK: Callback = Callback::new("check_config");
    guard(&CALLBACK, OK, || {
        // SAFETY: httpd hands the base server of the new configuration.
        let Some(base) = (unsafe { Server::new(base) }) else { return OK };
        for (server, config) in owners(base) {
            let policy = Policy::resolve(&config.settings, mpm::capacity());
            for complaint in policy.complaints() {
                server.log(Level::Notice, complaint);
            }
            if policy.errors().next().is_some() {
                policy.errors().for_each(|error| server.log(Level::Emergency, error));
                return FAILED;
            }
        }
        OK
    })
}

pub unsafe extern "C" fn post_config(
    pool: *mut apr_pool_t,
    _: *mut apr_pool_t,
    _: *mut apr_pool_t,
    base: *mut server_rec,
) -> c_int {
    static CALLBACK: Callback = Callback::new("post_config");
    guard(&CALLBACK, FAILED, || {
        // httpd reads its configuration twice at a start; only the second is brought into force.
        if mpm::is_first_pass() {
            return OK;
        }
        // SAFETY: httpd hands the base server of the new configuration.
        let Some(base) = (unsafe { Server::new(base) }) else { return FAILED };
        countries::forget();
        // SAFETY: httpd hands the pool of the new configuration.
        let result = bring_into_force(base).and_then(|()| unsafe {
            open_request_log(base, pool)?;
            start_helper(base, pool)
        });
        match result {
            Ok(()) => OK,
            Err(text) => {
                notice(base, &server_rules::NOT_STARTED, format_args!("{text}"));
                FAILED
            }
        }
    })
}

fn bring_into_force(base: Server) -> Result<(), String> {
    let computed = mpm::capacity();
    let owners = owners(base);
    // Made in the parent, so that all children have the same.
    let mut key = [0; 32];
    if !random::fill(&mut key) {
        notice(base, &vip_session::NO_KEY, format_args!("Can't generate random data."));
        return Err("no key for session cookies".to_owned());
    }
    let default_page = default_page();
    let mut resolved: Vec<Policy> = owners
        .iter()
        .map(|(_, config)| {
            let mut policy = Policy::resolve(&config.settings, computed);
            policy.vip_session.use_key(&key);
            if let Some(page) = &default_page
                && policy.server.error_page.is_none()
            {
                policy.server.use_default_page(page);
            }
            policy
        })
        .collect();
    let Some(base_policy) = resolved.first() else { return Ok(()) };
    let shared = segment::find_or_make(base, &base_policy.client_identity)?;

    let generation = shared.next_generation();
    shared.store.clients.columns().retire(generation);
    let users = Users::of_this_configuration();
    let tags = tags(owners.iter().map(|(server, _)| *server));
    for (tag, policy) in tags.iter().zip(&mut resolved) {
        shared.store.clients.remember(policy.remembered());
        policy.bind(&Bound {
            store: &shared.store,
            generation,
            server: *tag,
            is_used: &|variable| users.may_use(variable),
            is_set_early: &|variable| users.may_set_early(variable),
        })?;
    }
    let policies: Vec<(Server, &ServerConfig, &Policy)> = owners
        .iter()
        .zip(resolved)
        .map(|((server, config), policy)| (*server, *config, config.policy.get_or_init(|| policy)))
        .collect();
    let Some((_, base_config, base_policy)) = policies.first() else { return Ok(()) };

    for ((server, config, policy), tag) in policies.iter().zip(&tags) {
        let owns_counters = config::owns_counters(server.is_virtual(), policy, base_policy);
        let tag = if owns_counters { Some(tag) } else { tags.first() };
        let scope = tag.and_then(|tag| shared.store.scopes.find(*tag, generation));
        config.scope.set(scope.ok_or("too many virtual hosts with limits of their own")?);
        if !owns_counters {
            tell_shared(*server, base);
        }
    }
    if base_policy.counts_requests() {
        // A host without a directive of ours is no owner: it has the base server's rules and counters.
        for server in base.and_following().filter(|server| server.is_virtual()) {
            // SAFETY: the configuration that httpd is bringing into force.
            let config = unsafe { config::of_server(server.config_vector()) };
            if config.is_some_and(|config| core::ptr::eq(config, *base_config)) {
                tell_shared(server, base);
            }
        }
    }
    // What a restart under load left behind, before the new children count.
    child::sweep(shared);
    tell_at_start(base, base_policy, computed.max_clients, shared);
    if let Some(page) =
        default_page.filter(|page| base_policy.server.error_page.as_ref() == Some(page))
    {
        let page = page.to_string_lossy();
        let text = format_args!(
            "found default error document '{page}'. Use the QS_ErrorPage directive to override this default page."
        );
        notice(base, &server_rules::DEFAULT_PAGE, text);
    }
    for (server, _, policy) in &policies {
        tell_of_rules(*server, policy);
    }
    Ok(())
}

/// Returns the path of the page for denied requests that stands ready where none is configured.
fn default_page() -> Option<CString> {
    let directory = server_root().join(server_rules::DEFAULT_PAGE_DIRECTORY);
    let found = server_rules::DEFAULT_PAGES.iter().find(|name| directory.join(name).is_file())?;
    CString::new(format!("{}/{found}", server_rules::DEFAULT_PAGE_PATH)).ok()
}

/// Starts the program of QSLog, which ends with the configuration.
///
/// # Safety
/// `pool` is null or that of the configuration which comes into force.
unsafe fn open_request_log(base: Server, pool: *mut apr_pool_t) -> Result<(), String> {
    let owners = owners(base);
    let policy = owners.first().and_then(|(_, config)| config.policy.get());
    let Some(command) = policy.and_then(|policy| policy.request_log.command.as_deref()) else {
        return Ok(());
    };
    // SAFETY: the caller's word.
    let log = unsafe { Pool::new(pool) }.and_then(|pool| PipedLog::open(pool, command));
    if log.is_none() {
        let text = format_args!("failed to initialize the qslog facility '{command}'");
        notice(base, &request_log::NO_PROGRAM, text);
        return Err("the program of QSLog cannot be started".to_owned());
    }
    owners.iter().for_each(|(_, config)| config.request_log.set(log));
    Ok(())
}

/// Starts the helper process where anything is there for it to do.
///
/// # Safety
/// `pool` is null or that of the configuration which comes into force.
unsafe fn start_helper(base: Server, pool: *mut apr_pool_t) -> Result<(), String> {
    let Some((config, policy)) = base.config().and_then(|it| Some((it, it.policy.get()?))) else {
        return Ok(());
    };
    let rules = &policy.busy_watch;
    if !rules.is_on() {
        return Ok(());
    }
    if let Some((directory, _)) = &rules.directory {
        let (user, group) = serving_ids();
        helper::prepare_directory(directory, user, group)?;
    }
    if let Some(program) = &rules.program {
        helper::check_program(program)?;
    }
    // SAFETY: the caller's word.
    let Some(pool) = (unsafe { Pool::new(pool) }) else { return Ok(()) };
    let helper = Helper::new(base, pool);
    config.helper.set(Some(helper));
    // At a server's start it waits for `pre_mpm`, which makes the scoreboard.
    if scoreboard::is_there() {
        helper.start();
    }
    Ok(())
}

/// Returns the user and the group that serve.
fn serving_ids() -> (u32, u32) {
    // SAFETY: reads the process's user and group, and what the configuration says of them.
    unsafe {
        match libc::geteuid() {
            0 => (httpd::ap_unixd_config.user_id, httpd::ap_unixd_config.group_id),
            user => (user, libc::getegid()),
        }
    }
}

/// In the parent, at a server's start and at a hard restart: the scoreboard is there.
pub unsafe extern "C" fn pre_mpm(_: *mut apr_pool_t, _: httpd::ap_scoreboard_e) -> c_int {
    static CALLBACK: Callback = Callback::new("pre_mpm");
    guard(&CALLBACK, OK, || {
        periodic::start();
        let helper = Server::base().and_then(Server::config).and_then(|it| it.helper.get());
        helper.into_iter().for_each(Helper::start);
        OK
    })
}

fn tell_at_start(base: Server, policy: &Policy, calculated: u32, shared: &segment::Shared) {
    let n = policy.server.max_clients;
    let text = format!("calculated MaxClients/MaxRequestWorkers (max connections): {calculated}");
    if n == calculated {
        let mut sink = base;
        log_event::debug(format_args!("{text}"), &mut sink);
    } else {
        notice(
            base,
            &server_rules::MAX_CLIENTS_APPLIED,
            format_args!("{text}, applied limit: {n}"),
        );
    }
    if policy.server.is_log_only {
        notice(
            base,
            &server_rules::RUNNING_LOG_ONLY,
            format_args!("running in 'log only' mode - rules are NOT enforced!"),
        );
    }
    let mpm = mpm::name();
    if !matches!(mpm, "worker" | "event") {
        notice(
            base,
            &server_rules::UNUSUAL_MPM,
            format_args!(
                "loaded MPM is '{mpm}' but mod_qos should be used with MPM 'Worker' or 'Event' only."
            ),
        );
    }
    // SAFETY: looks a name up in httpd's list of modules.
    if unsafe { httpd::ap_find_linked_module(c"mod_unique_id.c".as_ptr()).is_null() } {
        notice(
            base,
            &server_rules::NO_UNIQUE_ID,
            format_args!(
                "mod_unique_id not available (mod_qos generates simple request id if required)"
            ),
        );
    }
    let client_identity::Policy { entries, prefix, is_ipv6_off, .. } = policy.client_identity;
    let event = &server_rules::NEEDS_STOP_AND_START;
    if entries != shared.entries {
        notice(
            base,
            event,
            format_args!(
                "QS_ClientEntries: the change needs a stop and start, {} stays in force",
                shared.entries
            ),
        );
    }
    if prefix != shared.store.prefix {
        notice(
            base,
            event,
            format_args!(
                "QS_ClientIPv6Prefix: the change needs a stop and start, {} stays in force",
                shared.store.prefix.0
            ),
        );
    }
    // Rules of the base server alone.
    if policy.geo.lacks_database {
        let event = &geo::NO_DATABASE;
        notice(base, event, format_args!("QS_ClientGeoCountryDB has not been configured"));
    }
    let thresholds = policy.geo.unreachable.iter();
    let thresholds = thresholds.chain(&policy.client_preference.unreachable);
    let thresholds = thresholds.chain(&policy.data_rate.unreachable);
    for threshold in thresholds.chain(&policy.busy_watch.unreachable) {
        tell_of_threshold(base, threshold);
    }
    if is_ipv6_off {
        notice(base, event, format_args!("QS_SupportIPv6 off: has no effect, IPv6 is always on"));
    }
}

/// What later generations know servers by: names and addresses, and the order of those that have the same.
fn tags(servers: impl Iterator<Item = Server>) -> Vec<u64> {
    let mut used: HashMap<String, u64> = HashMap::new();
    servers
        .map(|server| {
            let identity = server.identity();
            let place = used.entry(identity.clone()).or_default();
            *place += 1;
            owned::tag(*place, &[&identity])
        })
        .collect()
}

fn tell_shared(server: Server, base: Server) {
    let (name, port) = server.name_and_port();
    let (base_name, base_port) = base.name_and_port();
    notice(
        server,
        &connection_limit::SHARED_COUNTERS,
        format_args!("{name}:{port} shares its counters with {base_name}:{base_port}"),
    );
}

fn tell_of_rules(server: Server, policy: &Policy) {
    for rule in policy.request_limit.unlimited() {
        notice(
            server,
            &request_limit::NO_LIMIT,
            format_args!("request level rule {rule} has no concurrent request limitations"),
        );
    }
    for threshold in &policy.connection_limit.unreachable {
        tell_of_threshold(server, threshold);
    }
    for (status, variable) in &policy.variable.mended {
        notice(
            server,
            &variable::ADDS_ONE,
            format_args!(
                "QS_SetEnvIfStatus {status} {variable}: adds 1 per response, not {status}, write \
             {variable}=<number> to choose"
            ),
        );
    }
}

fn tell_of_threshold(server: Server, unreachable: &Unreachable) {
    let Unreachable { directive, threshold, possible } = unreachable;
    notice(
        server,
        &connection_limit::UNREACHABLE,
        format_args!(
            "{directive}: threshold {threshold} cannot be reached, at most {possible} connections are possible"
        ),
    );
}

fn notice(mut server: Server, event: &LogEvent, text: core::fmt::Arguments<'_>) {
    log_event::note(event, text, None, &mut server);
}

pub unsafe extern "C" fn child_init(pool: *mut apr_pool_t, base: *mut server_rec) {
    static CALLBACK: Callback = Callback::new("child_init");
    guard(&CALLBACK, (), || {
        keep_alive::forget();
        let Some(shared) = segment::shared() else { return };
        // SAFETY: httpd hands the base server.
        let Some(base) = (unsafe { Server::new(base) }) else { return };
        if !child::enter(shared) {
            base.log(
                Level::Warning,
                "mod_qos(): more children than ever expected: what this one holds when it is killed \
                 stays counted",
            );
        }
        monitor::start(base, pool);
    });
}

/// In the parent: a child has ended. Key is the pid; httpd's slot number may be gone already.
pub unsafe extern "C" fn child_status(
    _: *mut server_rec,
    pid: libc::pid_t,
    _: httpd::ap_generation_t,
    _: c_int,
    state: httpd::mpm_child_status,
) {
    static CALLBACK: Callback = Callback::new("child_status");
    guard(&CALLBACK, (), || {
        if state == httpd::MPM_CHILD_EXITED
            && let (Some(shared), Ok(pid)) = (segment::shared(), u32::try_from(pid))
        {
            child::reclaim(shared, pid);
        }
    });
}

/// In the parent, every ten seconds or so.
pub unsafe extern "C" fn monitor(_: *mut apr_pool_t, base: *mut server_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("monitor");
    guard(&CALLBACK, OK, || {
        let Some(shared) = segment::shared() else { return OK };
        child::sweep(shared);
        // SAFETY: httpd hands the base server of the configuration in force.
        if let Some(base) = unsafe { Server::new(base) } {
            periodic::tell(base, shared);
            // Should it not have been possible before.
            base.config().and_then(|it| it.helper.get()).into_iter().for_each(Helper::start);
        }
        OK
    })
}
