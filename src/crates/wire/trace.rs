//! The header `traceparent` (W3C Trace Context §3.2), which ties log lines of several programs together. Pure.

/// The ids of a trace, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 32],
    parent: [u8; 16],
}

impl TraceParent {
    /// Reads the header. `None` if it is not valid, as for a header that is missing (§4.3). Fields after the known ones are allowed
    /// from version 01 on.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let fields = [0..2, 3..35, 36..52, 53..55].map(|range| bytes.get(range));
        let [Some(version), Some(trace), Some(parent), Some(flags)] = fields else {
            return None;
        };
        let is_hex = |field: &[u8]| {
            field
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_zero = |field: &[u8]| field.iter().all(|byte| *byte == b'0');
        let dashes = [2, 35, 52].iter().all(|at| bytes[*at] == b'-');
        let ends = match bytes.get(55) {
            None => true,
            Some(next) => version != b"00" && *next == b'-',
        };
        let is_valid = dashes
            && ends
            && version != b"ff"
            && [version, trace, parent, flags].into_iter().all(is_hex)
            && !is_zero(trace)
            && !is_zero(parent);
        is_valid.then_some(Self {
            trace: trace.try_into().ok()?,
            parent: parent.try_into().ok()?,
        })
    }

    /// The id of the whole trace.
    pub fn trace(&self) -> &str {
        std::str::from_utf8(&self.trace).unwrap_or_default()
    }

    /// The id of the caller's part of it.
    pub fn parent(&self) -> &str {
        std::str::from_utf8(&self.parent).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_headers_give_two_ids() {
        for text in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        ] {
            let found = TraceParent::parse(text).unwrap();
            assert_eq!(found.trace(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(found.parent(), "00f067aa0ba902b7");
        }
    }

    #[test]
    fn other_headers_give_none() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }
}
