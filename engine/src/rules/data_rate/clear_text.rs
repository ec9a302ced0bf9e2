//! What a client sends over TLS: a request's octets count, not those of the records around them. Else who sends
//! a record for each octet would be twenty times as fast as it is, and a handshake would be a request.

use crate::meter::progress::Stage;

/// How much of what came in has been unpacked.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClearText {
    unpacked: u64,
    /// What had come in at the look that found so much unpacked.
    packed: u64,
}

impl ClearText {
    /// Returns what counts as received, of so many octets that came in and so many that were unpacked of them.
    /// Of a body, a large record is unpacked when all of it is there, which may take long: until then its octets
    /// count as they come. That is given back when it is unpacked, so what is returned may shrink. The head of a
    /// request is small, and mod_ssl hands it on by the line.
    pub fn received(&mut self, packed: u64, unpacked: u64, stage: Stage) -> u64 {
        if unpacked != self.unpacked || stage != Stage::Request {
            *self = ClearText { unpacked, packed };
        }
        unpacked.saturating_add(packed.saturating_sub(self.packed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_for_what_is_in_it_and_a_handshake_for_nothing() {
        let mut text = ClearText::default();
        assert_eq!(text.received(0, 0, Stage::Head), 0);
        assert_eq!(text.received(1_500, 0, Stage::Head), 0, "a handshake");
        assert_eq!(text.received(1_730, 30, Stage::Head), 30, "a line");
        assert_eq!(
            text.received(1_960, 30, Stage::Head),
            30,
            "ten octets of the next, each by itself"
        );
        assert_eq!(text.received(2_200, 80, Stage::Request), 80, "the end of the head");
        assert_eq!(text.received(2_430, 90, Stage::Request), 90, "ten octets of a body");
        assert_eq!(text.received(2_660, 90, Stage::Idle), 90);
    }

    #[test]
    fn a_large_record_counts_while_it_comes_and_once() {
        let mut text = ClearText::default();
        let mut received = |packed, unpacked| text.received(packed, unpacked, Stage::Request);
        assert_eq!(received(2_000, 300), 300, "the head");
        let counted: Vec<u64> = (1..=5).map(|n| received(2_000 + 3_000 * n, 300)).collect();
        assert_eq!(counted, [3_300, 6_300, 9_300, 12_300, 15_300]);
        assert_eq!(received(18_422, 16_684), 16_684);
        assert_eq!(received(18_422, 16_684), 16_684, "nothing more came");
        assert_eq!(received(u64::MAX, u64::MAX), u64::MAX);
    }
}
