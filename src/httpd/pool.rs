//! httpd's pools: memory with a lifetime, and what is done at its end.

use crate::ffi::bindings::{self as httpd, apr_pool_t};
use core::ffi::{CStr, c_char, c_void};
use core::ptr::NonNull;

/// A pool of httpd's.
#[derive(Clone, Copy)]
pub struct Pool(NonNull<apr_pool_t>);

impl Pool {
    /// Takes a pool that httpd handed to a callback.
    ///
    /// # Safety
    /// `pool` is null or a pool that lives at least as long as the returned value is used.
    pub unsafe fn new(pool: *mut apr_pool_t) -> Option<Pool> {
        NonNull::new(pool).map(Pool)
    }

    /// Returns the pool itself.
    pub fn as_ptr(self) -> *mut apr_pool_t {
        self.0.as_ptr()
    }

    /// Moves a value to the heap and drops it when the pool is cleaned up. The pointer is good until then.
    pub fn own<T>(self, value: T) -> *mut T {
        let pointer = Box::into_raw(Box::new(value));
        // SAFETY: the pool is alive by `new`; `drop_box::<T>` gets back exactly this box, once.
        unsafe {
            httpd::apr_pool_cleanup_register(
                self.0.as_ptr(),
                pointer.cast::<c_void>().cast_const(),
                Some(drop_box::<T>),
                Some(httpd::apr_pool_cleanup_null),
            );
        }
        pointer
    }

    /// Puts a value into the pool whose destructor has nothing to do: it owns nothing outside itself.
    pub fn place_undropped<T>(self, value: T) -> Option<NonNull<T>> {
        // SAFETY: the pool is alive by `new`; apr_palloc returns memory of this size, aligned to eight
        // octets at least, which the constant asserts to be enough.
        let memory = unsafe { httpd::apr_palloc(self.0.as_ptr(), size_of::<T>()) };
        const { assert!(align_of::<T>() <= 8) };
        let memory = NonNull::new(memory.cast::<T>())?;
        // SAFETY: fresh memory for one T.
        unsafe { memory.write(value) };
        Some(memory)
    }

    /// Copies text into the pool.
    pub fn copy(self, text: &[u8]) -> *const c_char {
        // SAFETY: the pool is alive; apr copies `len` octets and adds a NUL.
        unsafe { httpd::apr_pstrmemdup(self.0.as_ptr(), text.as_ptr().cast(), text.len()) }
    }

    /// Calls `end` with `data` when the pool is cleaned up.
    ///
    /// # Safety
    /// `data` stays good until the pool's end.
    pub unsafe fn at_end(
        self,
        data: *mut c_void,
        end: unsafe extern "C" fn(*mut c_void) -> httpd::apr_status_t,
    ) {
        // SAFETY: the pool is alive by `new`; the caller answers for `data`.
        unsafe {
            httpd::apr_pool_cleanup_register(
                self.0.as_ptr(),
                data,
                Some(end),
                Some(httpd::apr_pool_cleanup_null),
            );
        }
    }

    /// Returns what was hung on the pool under a name.
    pub fn find(self, key: &CStr) -> *mut c_void {
        let mut data = core::ptr::null_mut();
        // SAFETY: the pool is alive, the key is C text, `data` is written before return.
        unsafe { httpd::apr_pool_userdata_get(&mut data, key.as_ptr(), self.0.as_ptr()) };
        data
    }

    /// Hangs something on the pool under a name, which apr copies.
    pub fn hang(self, key: &CStr, data: *mut c_void) {
        // SAFETY: the pool is alive; no cleanup function, so apr never looks at `data`.
        unsafe { httpd::apr_pool_userdata_set(data, key.as_ptr(), None, self.0.as_ptr()) };
    }
}

unsafe extern "C" fn drop_box<T>(data: *mut c_void) -> httpd::apr_status_t {
    // A destructor of settings: it frees memory and cannot panic, so no guard.
    // SAFETY: `own` registered this function with a pointer from `Box::into_raw` of a T.
    drop(unsafe { Box::from_raw(data.cast::<T>()) });
    0
}
