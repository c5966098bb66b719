//! The values of settings as an operator sees them. Pure.

use super::{secrets, Config, SETTINGS};
use std::collections::BTreeMap;

/// Stands for a secret that is set.
const SET: &str = "<set>";

impl Config {
    /// The name and the value in force of each setting, in the order of the list. `given` are the texts that this value was
    /// made of. A default that depends on other values is worked out. Secrets are only said to be set.
    pub fn shown(&self, given: &BTreeMap<String, String>) -> Vec<(&'static str, String)> {
        let secrets = secrets();
        let shown = |(name, default, ..): &(&'static str, &'static str, _, _)| {
            let text = given.get(*name).filter(|text| !text.is_empty());
            let value = match text {
                Some(_) if secrets.contains(name) => SET.to_owned(),
                Some(text) => text.clone(),
                None => self
                    .worked_out(name)
                    .unwrap_or_else(|| (*default).to_owned()),
            };
            (*name, value)
        };
        SETTINGS.iter().map(shown).collect()
    }

    /// The value of a setting that is not given, if its default depends on other values.
    fn worked_out(&self, name: &str) -> Option<String> {
        let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
        Some(match name {
            "ADVERTISE" => self.advertised().unwrap_or_else(|| "<none>".to_owned()),
            "CONSOLE_LISTEN" => path(self.console_listen.as_deref()?),
            "MEMTX_RESERVE" => self.memtx_reserve.to_string(),
            "PRIVATE_KEY_FILE" => path(&self.private_key_file),
            "PUBLIC_KEY_FILE" => path(&self.public_key_file),
            "HTTP_WORKERS" => self.http.workers.to_string(),
            "CRYPTO_THREADS" => self.crypto_threads.to_string(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(given: &[(&str, &str)]) -> BTreeMap<&'static str, String> {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let given: BTreeMap<_, _> = given.iter().map(own).collect();
        let config = Config::new(given.clone()).unwrap();
        config.shown(&given).into_iter().collect()
    }

    #[test]
    fn only_what_does_not_exist_is_shown_as_a_description() {
        let described: Vec<_> = shown(&[])
            .into_iter()
            .filter(|(_, value)| value.starts_with('<') && value != "<none>")
            .collect();
        let random = ("ADMIN_PASSWORD", "<random, shown once>".to_owned());
        assert_eq!(described, [random]);
    }

    #[test]
    fn a_default_follows_what_it_depends_on() {
        let shown = shown(&[("DATA_DIR", "d"), ("MEMTX_MEMORY", "1073741824")]);
        assert_eq!(shown["CONSOLE_LISTEN"], "d/console.sock");
        assert_eq!(shown["MEMTX_RESERVE"], "33554432");
        assert_eq!(shown["PUBLIC_KEY_FILE"], "d/jwt_public.pem");
    }

    #[test]
    fn a_secret_is_not_shown() {
        for name in secrets() {
            assert_eq!(shown(&[(name, "S3cret-word")])[name], SET);
        }
    }
}
