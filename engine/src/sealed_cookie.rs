//! The value of a cookie that only this server can make: encrypted and authenticated.
//!
//! ```text
//! URL-safe Base64, no padding, of:  version (1) | nonce (24) | ciphertext | tag (16)
//! ```
//!
//! XChaCha20-Poly1305 with a key derived from the configured text by HKDF-SHA256. The cookie's name is
//! bound in as associated data, so that a cookie of one purpose is none of another. The nonce is random:
//! with 24 octets two never meet. It is handed in, like the time: the engine has no source of either.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use core::fmt;
use hkdf::Hkdf;
use sha2::Sha256;

/// Octets of randomness that each value takes.
pub const NONCE: usize = 24;
const TAG: usize = 16;
const VERSION: u8 = 1;

/// What seals and opens cookies. It never shows its key.
#[derive(Clone)]
pub struct Key(XChaCha20Poly1305);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Derives the key from a text, or from random octets.
    pub fn derive(secret: &[u8]) -> Key {
        let mut key = [0; 32];
        // 32 octets are always within what HKDF can give.
        let _ = Hkdf::<Sha256>::new(Some(b"mod_qos cookie"), secret)
            .expand(b"XChaCha20-Poly1305 v1", &mut key);
        Key(XChaCha20Poly1305::new(&key.into()))
    }

    /// Seals a payload for the cookie of this name.
    pub fn seal(&self, name: &[u8], nonce: &[u8; NONCE], payload: &[u8]) -> Option<String> {
        let mut sealed = Vec::with_capacity(1 + NONCE + payload.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(nonce);
        sealed.extend_from_slice(payload);
        let plain = sealed.get_mut(1 + NONCE..)?;
        let nonce = XNonce::from(*nonce);
        let tag = self.0.encrypt_inout_detached(&nonce, &bound(name), plain.into()).ok()?;
        sealed.extend_from_slice(&tag);
        Some(URL_SAFE_NO_PAD.encode(&sealed))
    }

    /// Opens the value of the cookie of this name, if it is one of ours with a payload of `N` octets.
    pub fn open<const N: usize>(&self, name: &[u8], value: &[u8]) -> Option<[u8; N]> {
        let length = 1 + NONCE + N + TAG;
        // Looked at before anything is decoded: what has another length costs nothing.
        if value.len() != (length * 4).div_ceil(3) {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let (version, rest) = sealed.split_first()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
        let (payload, rest) = rest.split_first_chunk::<N>()?;
        let tag: &[u8; TAG] = rest.try_into().ok()?;
        if *version != VERSION {
            return None;
        }
        let mut payload = *payload;
        self.0
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &bound(name),
                payload.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .ok()?;
        Some(payload)
    }
}

/// What is authenticated with the payload: the version and the cookie's name.
fn bound(name: &[u8]) -> Vec<u8> {
    [&[VERSION][..], name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: &[u8] = b"MODQOS";

    fn key() -> Key {
        Key::derive(b"secret")
    }

    fn sealed() -> String {
        key().seal(NAME, &[7; NONCE], b"12345678").expect("sealed")
    }

    #[test]
    fn what_was_sealed_can_be_opened() {
        let value = sealed();
        assert_eq!(key().open(NAME, value.as_bytes()), Some(*b"12345678"));
        assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_eq!(value.len(), 66);
    }

    #[test]
    fn the_format_is_what_it_was() {
        // A change here makes all cookies of running sites invalid: raise the version then.
        assert_eq!(sealed(), "AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHB7IQ4JPGcfuHTzlPMWQs1dazQgkR6QUZGw");
    }

    #[test]
    fn a_cookie_of_another_name_key_or_length_is_refused() {
        let value = sealed();
        let value = value.as_bytes();
        assert_eq!(key().open::<8>(b"OTHER", value), None);
        assert_eq!(key().open::<8>(b"modqos", value), None);
        assert_eq!(Key::derive(b"Secret").open::<8>(NAME, value), None);
        assert_eq!(Key::derive(b"").open::<8>(NAME, value), None);
        assert_eq!(key().open::<7>(NAME, value), None);
        assert_eq!(key().open::<8>(NAME, &[value, b"="].concat()), None);
        // One of the C module, made with the key text `secret`.
        let old = b"XI5v4IEv5EXoQYrWGDh3KKbhZgqlOgohmeCBkbq6qFlAO8GlBKdC8izHMh+Y3hno";
        assert_eq!(key().open::<8>(NAME, old), None);
    }

    #[test]
    fn every_cut_is_refused() {
        let value = sealed();
        for length in 0..value.len() {
            assert_eq!(key().open::<8>(NAME, &value.as_bytes()[..length]), None, "{length}");
            assert_eq!(key().open::<8>(NAME, &value.as_bytes()[length + 1..]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_refused(value in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(key().open::<8>(NAME, &value), None);
        }

        #[test]
        fn every_changed_octet_is_noticed(place in 0usize..66, octet in any::<u8>()) {
            let mut value = sealed().into_bytes();
            prop_assume!(value[place] != octet);
            value[place] = octet;
            prop_assert_eq!(key().open::<8>(NAME, &value), None);
        }

        #[test]
        fn swapped_octets_are_noticed(one in 0usize..66, other in 0usize..66) {
            let mut value = sealed().into_bytes();
            prop_assume!(value[one] != value[other]);
            value.swap(one, other);
            prop_assert_eq!(key().open::<8>(NAME, &value), None);
        }
    }
}
