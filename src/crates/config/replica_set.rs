//! Which settings of a replica set go together. Pure.

use super::text::PREFIX;
use super::{Config, Consistency, ElectionMode, Listen};
use secrecy::ExposeSecret;

impl Config {
    /// Checks the settings of a replica set together.
    pub(super) fn check_replication(&self) -> Result<(), String> {
        let asks = self.live().consistency == Consistency::Leader;
        if asks && self.replication_password.is_none() {
            return Err(format!(
                "{PREFIX}CONSISTENCY=leader needs {PREFIX}REPLICATION_PASSWORD: the leader knows by it who asks"
            ));
        }
        if self.forwards && self.replication_password.is_none() {
            return Err(format!(
                "{PREFIX}WRITES=forward needs {PREFIX}REPLICATION_PASSWORD: the leader knows by it who asks"
            ));
        }
        let Some(members) = &self.replication else {
            return match self.election_mode {
                ElectionMode::Off => Ok(()),
                _ => Err(format!("{PREFIX}ELECTION_MODE needs {PREFIX}REPLICATION: without other instances it should be off")),
            };
        };
        let Some(password) = &self.replication_password else {
            return Err(format!(
                "{PREFIX}REPLICATION needs {PREFIX}REPLICATION_PASSWORD"
            ));
        };
        // Older versions of Tarantool take passwords of other instances as a part of an URI only, and do not decode it.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !password.expose_secret().bytes().all(is_plain) {
            return Err(format!(
                "{PREFIX}REPLICATION_PASSWORD should be of letters, digits, and - . _ ~ only"
            ));
        }
        if self.iproto_listen.is_none() {
            return Err(format!(
                "{PREFIX}REPLICATION needs {PREFIX}IPROTO_LISTEN: the other instances replicate from there"
            ));
        }
        if self.follow.is_some() {
            return Err(format!("{PREFIX}REPLICATION goes without {PREFIX}FOLLOW"));
        }
        if self.election_mode != ElectionMode::Off && self.read_only {
            return Err(format!(
                "{PREFIX}ELECTION_MODE={} goes without {PREFIX}READ_ONLY: an instance that should never lead has {PREFIX}ELECTION_MODE=voter",
                self.election_mode.name()
            ));
        }
        if self.synchronous && members.len() < 2 {
            return Err(format!(
                "{PREFIX}SYNCHRONOUS needs at least two addresses in {PREFIX}REPLICATION"
            ));
        }
        Ok(())
    }

    /// Where clients find the HTTP of this instance, if that is known: by setting, or the first address it listens on.
    pub fn advertised(&self) -> Option<String> {
        self.advertise.clone().or_else(|| {
            let mut addresses = self.http.listen.iter().chain(&self.http.rock_listen);
            addresses.find_map(Listen::url)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    const TWO: (&str, &str) = ("REPLICATION", "10.0.0.1:3301, [::1]:3301");
    const PASSWORD: (&str, &str) = ("REPLICATION_PASSWORD", "Secret-1._~");

    fn config(settings: &[(&str, &str)]) -> Result<Config, String> {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Config::new(settings.iter().map(own).collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn what_goes_together_is_accepted() {
        let all = config(&[
            TWO,
            PASSWORD,
            ("ELECTION_MODE", "candidate"),
            ("SYNCHRONOUS", "true"),
            ("REPLICATION_TIMEOUT", "0.25"),
            ("INSTANCE_NAME", "one.a-1"),
            ("CONSISTENCY", "leader"),
        ]);
        let all = all.unwrap();
        assert_eq!(all.replication.unwrap(), ["10.0.0.1:3301", "[::1]:3301"]);
        assert_eq!(all.replication_timeout, Duration::from_millis(250));
        // An application calls box.cfg itself.
        assert!(config(&[("SYNCHRONOUS", "true")]).is_ok());
        let forwards = config(&[("WRITES", "forward"), PASSWORD]);
        assert!(forwards.unwrap().forwards);
    }

    #[test]
    fn what_does_not_is_refused_with_what_is_allowed() {
        let cases: [(&[(&str, &str)], &str); 17] = [
            (
                &[("CONSISTENCY", "leader")],
                "needs AUTHKV_REPLICATION_PASSWORD",
            ),
            (
                &[("CONSISTENCY", "strong")],
                "stale_ok, leader or linearizable",
            ),
            (&[TWO], "needs AUTHKV_REPLICATION_PASSWORD"),
            (&[TWO, ("REPLICATION_PASSWORD", "a b")], "letters, digits"),
            (
                &[TWO, PASSWORD, ("IPROTO_LISTEN", "off")],
                "needs AUTHKV_IPROTO_LISTEN",
            ),
            (
                &[
                    TWO,
                    PASSWORD,
                    ("ELECTION_MODE", "candidate"),
                    ("READ_ONLY", "true"),
                ],
                "AUTHKV_ELECTION_MODE=voter",
            ),
            (
                &[("ELECTION_MODE", "candidate")],
                "needs AUTHKV_REPLICATION",
            ),
            (
                &[("ELECTION_MODE", "on")],
                "off, candidate, voter or manual",
            ),
            (&[("REPLICATION", "a:1,a:1"), PASSWORD], "host:port of each"),
            (&[("REPLICATION", "a"), PASSWORD], "host:port of each"),
            (
                &[("REPLICATION", "a:1"), PASSWORD, ("SYNCHRONOUS", "true")],
                "at least two",
            ),
            (
                &[
                    TWO,
                    PASSWORD,
                    ("SERVICES", "kv"),
                    ("FOLLOW", "b:1"),
                    ("FOLLOWER_PASSWORD", "x"),
                ],
                "without AUTHKV_FOLLOW",
            ),
            (
                &[("WRITES", "forward")],
                "WRITES=forward needs AUTHKV_REPLICATION_PASSWORD",
            ),
            (&[("WRITES", "true")], "forward or refuse"),
            (&[("REPLICATION_TIMEOUT", "1e2")], "from 0.05 to 3600"),
            (&[("INSTANCE_NAME", "a b")], "letters, digits, dots"),
            (&[("ADVERTISE", "http://a/b")], "http:// or https://"),
        ];
        for (settings, part) in cases {
            let error = config(settings).unwrap_err();
            assert!(error.contains(part), "{settings:?}: {error}");
        }
    }

    #[test]
    fn an_address_for_all_interfaces_is_not_advertised() {
        let advertised = |listen| {
            config(&[
                ("HTTP_LISTEN", listen),
                ("HTTP_TRUSTED_PROXIES", "10.0.0.0/8"),
            ])
            .unwrap()
            .advertised()
        };
        assert_eq!(advertised("10.0.0.1:80").unwrap(), "http://10.0.0.1:80");
        assert_eq!(
            advertised("0.0.0.0:80,unix:/tmp/x,[::1]:81").unwrap(),
            "http://[::1]:81"
        );
        for listen in [
            "0.0.0.0:80",
            "off",
            "127.0.0.1:0",
            "proxy+http://10.0.0.1:80",
        ] {
            assert_eq!(advertised(listen), None, "{listen}");
        }
        let set = config(&[("ADVERTISE", "https://one.example/")]);
        assert_eq!(set.unwrap().advertised().unwrap(), "https://one.example");
    }
}
