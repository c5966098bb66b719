//! What is made of each row of the list of settings. Pure.

/// Makes the table [`SETTINGS`], and the structs [`Config`], [`LiveConfig`] and [`HttpConfig`] with their constructors. An
/// entry of the list, explained:
///
/// ```text
/// /// seconds a token lives                the text of `authkv.settings()`
/// /// seconds that an access token lives   the text of the reference in Markdown, if it is another one
/// TOKEN_TTL = "1800",                      name and default; a default in `<` and `>` is a description: see `Kind::or`
///     seconds(1, TOKEN_TTL_MAX)            the allowed texts, and their values: see `text.rs`
///     => live.token_ttl: Duration;         the field for the value
/// ```
///
/// A value goes to one of:
/// - `config.field: Type`: a field of `Config`, which `authkv.restart()` replaces;
/// - `live.field: Type`: a field of `LiveConfig`, which `authkv.reload` replaces. Code that reads it asks `Config::live()`
///   each time, and keeps no copy;
/// - `http.field: Type`: a field of `HttpConfig`. When such a setting changes, `authkv.reload` starts a new HTTP server. The
///   name begins with `HTTP_`;
/// - `config(name)`, `live(name)` or `http(name)`: a field that is made of several values, in a block above the list. There
///   the value has this name.
///
/// So the field says when a change takes effect, unless a mark before it does: `[process]` for what `init.lua` needs before
/// `box.cfg`, `[options]` for an option of `box.cfg` that `init.lua` sets and `authkv.reload` changes. See [`TakesEffect`].
///
/// A new setting also needs a line in `docker-compose.yml` and in a table of the reference. Tests check that, and that
/// `test_reload_settings.py` observes each setting that a reload changes.
macro_rules! settings {
    (
        $given:ident;
        Config { $($(#[doc = $about:literal])* $made:ident: $made_type:ty = $value:expr;)* }
        LiveConfig { $($(#[doc = $live_about:literal])* $live_made:ident: $live_made_type:ty = $live_value:expr;)* }
        HttpConfig { $($(#[doc = $http_about:literal])* $http_made:ident: $http_made_type:ty = $http_value:expr;)* }
        $(
            #[doc = $meaning:literal] $(#[doc = $text:literal])*
            $name:ident = $default:literal, $kind:expr => $([$mark:ident])?
                $(config.$field:ident: $field_type:ty;)? $(config($part:ident);)?
                $(live.$live_field:ident: $live_field_type:ty;)? $(live($live_part:ident);)?
                $(http.$http_field:ident: $http_field_type:ty;)? $(http($http_part:ident);)?
        )*
    ) => {
        /// The settings: name, default, meaning, and when a change takes effect. A default in angle brackets depends on other
        /// values.
        pub const SETTINGS: &[(&str, &str, &str, TakesEffect)] = &[$((
            stringify!($name),
            $default,
            $meaning.trim_ascii(),
            TakesEffect::of(
                concat!($(stringify!($mark))?),
                concat!($(stringify!($field))? $(stringify!($part))?),
            ),
        )),*];

        /// The names of the settings that are secrets.
        pub fn secrets() -> Vec<&'static str> {
            let all = [$((stringify!($name), $kind.is_secret)),*];
            let secret = all.into_iter().filter(|(_, is_secret)| *is_secret);
            secret.map(|(name, _)| name).collect()
        }

        /// All settings of an instance. They do not change after its start, but for those in `live`.
        #[derive(Debug)]
        pub struct Config {
            $($(#[doc = $meaning] pub $field: $field_type,)?)*
            $($(#[doc = $about])* pub $made: $made_type,)*
        }

        /// The settings that `authkv.reload` changes while the instance runs, apart from those of HTTP.
        #[derive(Debug)]
        pub struct LiveConfig {
            $($(#[doc = $meaning] pub $live_field: $live_field_type,)?)*
            $($(#[doc = $live_about])* pub $live_made: $live_made_type,)*
        }

        /// The settings of the HTTP server. They may change while the instance runs.
        #[derive(Debug, Clone)]
        pub struct HttpConfig {
            $($(#[doc = $meaning] pub $http_field: $http_field_type,)?)*
            $($(#[doc = $http_about])* pub $http_made: $http_made_type,)*
        }

        impl Config {
            /// The settings as the reference shows them. For tests.
            pub fn reference() -> Vec<Reference> {
                let rows = SETTINGS.iter();
                let texts = [$(($kind.allowed, concat!($($text),*).trim_ascii())),*];
                rows.zip(texts)
                    .map(|((name, default, meaning, takes_effect), (allowed, text))| Reference {
                        name,
                        default,
                        allowed,
                        meaning,
                        text,
                        takes_effect: *takes_effect,
                    })
                    .collect()
            }

            pub(super) fn read($given: &Given) -> Result<Self, String> {
                $(
                    $(let $field = $given.read(stringify!($name), $default, $kind)?;)?
                    $(let $part = $given.read(stringify!($name), $default, $kind)?;)?
                )*
                $(let $made = $value;)*
                Ok(Self { $($($field,)?)* $($made),* })
            }
        }

        impl LiveConfig {
            pub(super) fn read($given: &Given) -> Result<Self, String> {
                $(
                    $(let $live_field = $given.read(stringify!($name), $default, $kind)?;)?
                    $(let $live_part = $given.read(stringify!($name), $default, $kind)?;)?
                )*
                $(let $live_made = $live_value;)*
                Ok(Self { $($($live_field,)?)* $($live_made),* })
            }
        }

        impl HttpConfig {
            pub(super) fn read($given: &Given) -> Result<Self, String> {
                $(
                    $(let $http_field = $given.read(stringify!($name), $default, $kind)?;)?
                    $(let $http_part = $given.read(stringify!($name), $default, $kind)?;)?
                )*
                $(let $http_made = $http_value;)*
                Ok(Self { $($($http_field,)?)* $($http_made),* })
            }
        }

        /// The settings of HTTP, with the names of their fields.
        #[cfg(test)]
        pub const OF_HTTP: &[(&str, &str)] = &[$(
            $((stringify!($name), stringify!($http_field)),)?
            $((stringify!($name), stringify!($http_part)),)?
        )*];
    };
}

pub(super) use settings;
