//! Where Tarantool's log goes, and which lines it has. Pure.

/// Where the log goes, as `box.cfg.log` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Empty for the standard error.
    text: String,
}

impl Log {
    pub const ALLOWED: &'static str =
        "stderr, a path, file:path, pipe:command or syslog:options of Tarantool";

    pub fn parse(text: &str) -> Option<Self> {
        let text = match text {
            "stderr" => "",
            _ => text,
        };
        let is_target = |text: &str| !text.trim().is_empty();
        let is_known = match text.split_once(':') {
            Some(("file" | "pipe", rest)) => is_target(rest),
            Some(("syslog", options)) => options.is_empty() || options.split(',').all(is_option),
            // A mistyped word is not the name of a file.
            Some((word, _)) => word.contains('/'),
            // A bar begins a command for Tarantool, as `pipe:` does; a bare word may be meant as a kind of log.
            None => text.is_empty() || !text.starts_with('|') && text.contains(['/', '.']),
        };
        is_known.then(|| Self {
            text: text.to_owned(),
        })
    }

    /// The value of `box.cfg.log`; empty for the standard error.
    pub fn text(&self) -> String {
        self.text.clone()
    }

    pub fn is_syslog(&self) -> bool {
        self.text.starts_with("syslog:")
    }
}

/// An option of Tarantool's syslog, with a value.
fn is_option(option: &str) -> bool {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    matches!(name, "identity" | "facility" | "server") && !value.is_empty()
}

/// A level of Tarantool's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(usize);

/// The levels, by their numbers in Tarantool.
const LEVELS: [&str; 8] = [
    "fatal", "syserror", "error", "crit", "warn", "info", "verbose", "debug",
];

const INFO: usize = 5;

impl Level {
    pub const ALLOWED: &'static str =
        "fatal, syserror, error, crit, warn, info, verbose or debug, or their numbers 0 to 7";

    pub fn parse(text: &str) -> Option<Self> {
        let named = LEVELS.iter().position(|name| *name == text);
        let is_digit = text.len() == 1;
        let numbered = || {
            text.parse()
                .ok()
                .filter(|number| is_digit && *number < LEVELS.len())
        };
        named.or_else(numbered).map(Self)
    }

    pub fn number(self) -> usize {
        self.0
    }

    pub fn name(self) -> &'static str {
        LEVELS[self.0]
    }

    /// Whether lines of level info are left out.
    pub fn is_above_info(self) -> bool {
        self.0 < INFO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_a_target_that_tarantool_knows() {
        for (given, text) in [
            ("stderr", ""),
            ("/var/log/authkv/authkv.log", "/var/log/authkv/authkv.log"),
            ("./a:b.log", "./a:b.log"),
            ("authkv.log", "authkv.log"),
            ("file:authkv", "file:authkv"),
            ("pipe:cronolog /log/%F", "pipe:cronolog /log/%F"),
            ("syslog:", "syslog:"),
            (
                "syslog:identity=a,facility=local0",
                "syslog:identity=a,facility=local0",
            ),
            ("syslog:server=unix:/dev/log", "syslog:server=unix:/dev/log"),
        ] {
            assert_eq!(
                Log::parse(given).map(|log| log.text()).as_deref(),
                Some(text),
                "{given}"
            );
        }
    }

    #[test]
    fn a_mistyped_log_is_no_file() {
        for text in [
            "stdout",
            "syslog",
            "file:",
            "pipe: ",
            "| /bin/cat",
            "sylog:identity=a",
            "syslog:identity",
            "syslog:ident=a",
            "syslog:identity=a,",
            "journal",
        ] {
            assert_eq!(Log::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_level_is_a_name_or_its_number() {
        for (number, name) in LEVELS.iter().enumerate() {
            assert_eq!(Level::parse(name), Some(Level(number)));
            assert_eq!(Level::parse(&number.to_string()), Some(Level(number)));
            assert_eq!(Level(number).name(), *name);
        }
        for text in ["8", "-1", "warning", "INFO", "+5", ""] {
            assert_eq!(Level::parse(text), None, "{text}");
        }
        assert!(Level(4).is_above_info() && !Level(INFO).is_above_info());
    }
}
