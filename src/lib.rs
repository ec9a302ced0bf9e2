//! The Apache module: httpd's callbacks in, verdicts out. What is decided, and in which order, the
//! engine crate says; this one holds everything that touches C or shared memory.
//!
//! `hooks/register.rs` shows on one page where httpd calls us; `config.rs` makes httpd's command table
//! from the engine's directives; `shm` is the segment; `httpd` are safe views of httpd's structures;
//! `ffi` is the border itself.

mod config;
mod countries;
mod ffi;
mod helper;
mod hooks;
mod httpd;
mod monitor;
mod shm;

use core::ffi::{c_char, c_int};
use ffi::bindings;

/// The record that httpd looks for, and the only symbol that this object exports.
#[unsafe(no_mangle)]
pub static mut qos_module: bindings::module = bindings::module {
    version: bindings::MODULE_MAGIC_NUMBER_MAJOR as c_int,
    minor_version: bindings::MODULE_MAGIC_NUMBER_MINOR as c_int,
    module_index: -1,
    // What `<IfModule mod_qos.c>` in existing configurations asks for.
    name: c"mod_qos.c".as_ptr(),
    dynamic_load_handle: core::ptr::null_mut(),
    next: core::ptr::null_mut(),
    magic: bindings::MODULE_MAGIC_COOKIE as core::ffi::c_ulong,
    rewrite_args: None,
    create_dir_config: Some(config::create_dir_config),
    merge_dir_config: Some(config::merge_dir_config),
    create_server_config: Some(config::create_server_config),
    merge_server_config: Some(config::merge_server_config),
    cmds: config::COMMANDS.as_ptr(),
    register_hooks: Some(hooks::register::register_hooks),
    flags: 0,
};

const _: () = assert!(size_of::<c_char>() == 1);
