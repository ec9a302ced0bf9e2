//! A filter of ours: registered by its name, and added by the handle that httpd gives for it. By name, httpd
//! looks through all filters for it, some 700 instructions in each request.

use crate::ffi::bindings::{self as httpd, ap_filter_rec_t, conn_rec, request_rec};
use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A filter, before and after it is registered. httpd registers anew with each configuration, before it makes
/// any child.
pub struct Filter {
    name: &'static CStr,
    handle: AtomicPtr<ap_filter_rec_t>,
}

impl Filter {
    /// Names a filter.
    pub const fn named(name: &'static CStr) -> Filter {
        Filter { name, handle: AtomicPtr::new(null_mut()) }
    }

    /// Registers it for what goes out.
    ///
    /// # Safety
    /// Called while httpd asks for our hooks.
    pub unsafe fn register_output(
        &self,
        function: httpd::ap_out_filter_func,
        kind: httpd::ap_filter_type,
    ) {
        // SAFETY: the caller's word; the name is static.
        let handle =
            unsafe { httpd::ap_register_output_filter(self.name.as_ptr(), function, None, kind) };
        self.handle.store(handle, Ordering::Relaxed);
    }

    /// Registers it for what comes in.
    ///
    /// # Safety
    /// Called while httpd asks for our hooks.
    pub unsafe fn register_input(
        &self,
        function: httpd::ap_in_filter_func,
        kind: httpd::ap_filter_type,
    ) {
        // SAFETY: the caller's word; the name is static.
        let handle =
            unsafe { httpd::ap_register_input_filter(self.name.as_ptr(), function, None, kind) };
        self.handle.store(handle, Ordering::Relaxed);
    }

    /// Adds it to a request.
    ///
    /// # Safety
    /// Both are alive, and `context` is what the filter expects and outlives it.
    pub unsafe fn add_output(
        &self,
        context: *mut c_void,
        request: *mut request_rec,
        connection: *mut conn_rec,
    ) {
        let handle = self.handle.load(Ordering::Relaxed);
        if !handle.is_null() {
            // SAFETY: the caller's word; the handle is of the configuration that this child serves.
            unsafe { httpd::ap_add_output_filter_handle(handle, context, request, connection) };
        }
    }

    /// Adds it to a request.
    ///
    /// # Safety
    /// Both are alive, and `context` is what the filter expects and outlives it.
    pub unsafe fn add_input(
        &self,
        context: *mut c_void,
        request: *mut request_rec,
        connection: *mut conn_rec,
    ) {
        let handle = self.handle.load(Ordering::Relaxed);
        if !handle.is_null() {
            // SAFETY: the caller's word; the handle is of the configuration that this child serves.
            unsafe { httpd::ap_add_input_filter_handle(handle, context, request, connection) };
        }
    }
}
