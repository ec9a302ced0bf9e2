//! The session's cookie: what it says, and how it is found and made.

use super::Session;
use crate::context::RequestView;
use crate::matching::cookie;
use crate::sealed_cookie::NONCE;

/// What a look for the cookie gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The request has none.
    Nothing,
    /// A session that holds.
    Valid,
    /// None of ours: event 021.
    Refused,
    /// One of ours that is over: event 023.
    Expired,
}

impl Session {
    /// Takes all cookies of the session's name out of the request, so that nobody behind us sees them,
    /// and tells what they were. One that holds is enough; else the first says why.
    pub fn take(&self, request: &mut dyn RequestView, now: u64) -> Found {
        let Some(first) = request.header(c"Cookie") else { return Found::Nothing };
        // The quick way out for most requests: nothing is copied.
        let is_only = cookie::values(first, &self.name).next().is_none();
        let mut lines: Vec<Vec<u8>> = Vec::new();
        request.each_header(&mut |name, value| {
            if name.eq_ignore_ascii_case(b"Cookie") {
                lines.push(value.to_vec());
            }
        });
        if is_only && lines.len() == 1 {
            return Found::Nothing;
        }
        let header = lines.join(&b"; "[..]);
        let Some(rest) = cookie::without(&header, &self.name) else { return Found::Nothing };
        let mut found = Found::Nothing;
        for value in cookie::values(&header, &self.name) {
            match self.judge(value, now) {
                Found::Valid => {
                    found = Found::Valid;
                    break;
                }
                other if found == Found::Nothing => found = other,
                _ => {}
            }
        }
        request.set_header(c"Cookie", (!rest.is_empty()).then_some(rest.as_slice()));
        found
    }

    fn judge(&self, value: &[u8], now: u64) -> Found {
        let opened = self.key.as_ref().and_then(|key| key.open(&self.name, value));
        let Some(created) = opened.map(u64::from_be_bytes) else { return Found::Refused };
        // A clock that was set back must not make sessions last longer.
        if now.abs_diff(created) > u64::from(self.timeout) { Found::Expired } else { Found::Valid }
    }

    /// Returns the header that gives the client a session from now on.
    pub fn cookie(&self, now: u64, nonce: &[u8; NONCE], is_tls: bool) -> Option<String> {
        let value = self.key.as_ref()?.seal(&self.name, nonce, &now.to_be_bytes())?;
        let name = core::str::from_utf8(&self.name).ok()?;
        let (path, timeout) = (&self.path, self.timeout);
        let secure = if is_tls { "; Secure" } else { "" };
        Some(format!(
            "{name}={value}; Path={path}; Max-Age={timeout}; HttpOnly; SameSite=Lax{secure}"
        ))
    }
}
