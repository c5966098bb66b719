//! The parts of the input of key-value operations. Pure; any thread.

use authkv_base::error::Error;
use authkv_codec::msgpack::{is_utf8, Head, Reader};
use authkv_codec::{self as codec, Document, Members};
use authkv_domain::{Expiry, IfRevision, Login, Mode};

/// The outer error is about the shape (`Malformed`, `BadValue`); the inner one is the first broken rule.
pub type Checked<T> = Result<Result<T, Error>, Error>;

/// The default and the largest number of items in a list.
pub const PAGE: u64 = 100;
pub const PAGE_MAX: u64 = 1000;
/// The most bytes of a media type.
pub const CONTENT_TYPE_MAX: usize = 255;

/// How long a pair lives, as the client gave it.
#[derive(Clone, Copy)]
pub struct Lifetime {
    ttl: Option<f64>,
    expires_at: Option<f64>,
}

impl Lifetime {
    /// Errors: `Malformed`.
    pub fn read(ttl: Option<&[u8]>, expires_at: Option<&[u8]>) -> Result<Self, Error> {
        Ok(Self {
            ttl: option(ttl, |field| codec::seconds("ttl", field))?,
            expires_at: option(expires_at, |field| codec::seconds("expires_at", field))?,
        })
    }

    pub fn is_given(&self) -> bool {
        self.ttl.is_some() || self.expires_at.is_some()
    }

    /// This lifetime, or `other` if this one is not given.
    pub fn or(self, other: &Self) -> Self {
        match self.is_given() {
            true => self,
            false => *other,
        }
    }

    /// Errors: `BadOption`.
    pub fn expiry(&self, now: u64) -> Result<Option<Expiry>, Error> {
        Expiry::new(self.ttl, self.expires_at, now)
    }
}

/// The login that a request names, in its normal form: the one place that makes it so. Errors: `Malformed`.
pub fn login(field: &[u8]) -> Result<String, Error> {
    codec::string("login", field).map(Login::normal)
}

pub fn should_be(name: &str, form: &str) -> Error {
    Error::malformed(format!("{name} should be {form}"))
}

pub fn too_many(name: &'static str) -> Error {
    Error::BadOption {
        name,
        allowed: "at most 1000 items",
    }
}

/// What a field holds, or `None` if it is missing or null.
pub fn option<T>(
    field: Option<&[u8]>,
    read: impl FnOnce(&[u8]) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    given(field).map(read).transpose()
}

/// The field, or `None` if it is missing or null.
pub fn given(field: Option<&[u8]>) -> Option<&[u8]> {
    field.filter(|field| *field != [0xc0])
}

/// The items of an array. They are read one by one and not kept, because there may be many more than allowed.
pub struct Items<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Items<'a> {
    /// Errors: `Malformed`.
    pub fn of(
        input: &Document<'_>,
        name: &str,
        field: &'a [u8],
        form: &str,
    ) -> Result<Self, Error> {
        let mut reader = Reader::new(field);
        match reader.head()? {
            Head::Array(left) => Ok(Self { reader, left }),
            // An empty Lua table arrives as a map.
            Head::Map(0) if !input.is_body() => Ok(Self { reader, left: 0 }),
            _ => Err(should_be(name, form)),
        }
    }

    pub fn len(&self) -> usize {
        self.left as usize
    }

    /// The members of the next item. See [`Document::members`].
    pub fn members<const N: usize>(
        &mut self,
        input: &Document<'_>,
        name: &str,
        form: &str,
        names: [&'static str; N],
    ) -> Option<Result<Members<'a, N>, Error>> {
        self.left = self.left.checked_sub(1)?;
        Some(input.members(name, &mut self.reader, form, names))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.reader.value())
    }
}

pub fn read_key<'a>(name: &str, field: Option<&'a [u8]>, form: &str) -> Result<&'a [u8], Error> {
    let key = field.ok_or_else(|| should_be(name, form))?;
    let key = Reader::new(key)
        .string()
        .map_err(|_| should_be(name, form))?;
    check_text(name, key, form)?;
    Ok(key)
}

/// Keys are UTF-8, although values need not be.
pub fn check_text(name: &str, key: &[u8], form: &str) -> Result<(), Error> {
    match is_utf8(key) {
        true => Ok(()),
        false => Err(should_be(name, form)),
    }
}

pub fn text_of<'a>(name: &str, field: &'a [u8]) -> Result<&'a [u8], Error> {
    read_key(name, Some(field), "a string")
}

/// Reads the limit on the items of a list. The inner error is `BadOption`.
pub fn read_limit(field: Option<&[u8]>) -> Checked<usize> {
    let limit = option(field, |field| codec::number("limit", field))?.unwrap_or(PAGE);
    Ok(match limit {
        1..=PAGE_MAX => Ok(limit as usize),
        _ => Err(Error::BadOption {
            name: "limit",
            allowed: "from 1 to 1000",
        }),
    })
}

pub fn read_mode(field: Option<&[u8]>) -> Checked<Mode> {
    let name = option(field, |field| codec::string("mode", field))?;
    Ok(name.map_or(Ok(Mode::default()), |name| Mode::from_name(&name)))
}

pub fn read_if_revision(field: Option<&[u8]>) -> Result<IfRevision, Error> {
    const NAME: &str = "if_revision";
    let Some(field) = given(field) else {
        return Ok(IfRevision::Any);
    };
    match Reader::new(field).head()? {
        Head::Array(left) => {
            let mut reader = Reader::new(field);
            reader.head()?;
            let all = Items { reader, left }.map(|one| codec::number(NAME, one?));
            Ok(IfRevision::IsOneOf(all.collect::<Result<_, _>>()?))
        }
        _ => codec::number(NAME, field).map(IfRevision::Is),
    }
}

pub fn read_content_type(field: Option<&[u8]>) -> Checked<Option<&str>> {
    let Some(field) = given(field) else {
        return Ok(Ok(None));
    };
    let text = Reader::new(field).string().ok();
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    let text = text.ok_or_else(|| Error::malformed("content_type should be a string"))?;
    let visible = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && text.trim() == text;
    Ok(
        match visible && (1..=CONTENT_TYPE_MAX).contains(&text.len()) {
            true => Ok(Some(text)),
            false => Err(Error::BadOption {
                name: "content_type",
                allowed: "1 to 255 visible ASCII characters",
            }),
        },
    )
}
