//! The last key set of an issuer, in a file of the data directory, for a start while the issuer is out of reach. Blocks.

use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use ring::digest::{digest, SHA256};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The most bytes of such a file: a key set of the largest size, escaped.
const MAX: u64 = 64 << 20;

/// The last key set of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub issuer: String,
    /// From where it was fetched.
    pub url: String,
    pub etag: Option<String>,
    /// The text of the key set.
    pub key_set: String,
}

/// The file for an issuer.
pub fn path(data_dir: &Path, issuer: &str) -> PathBuf {
    let name = URL_SAFE_NO_PAD.encode(digest(&SHA256, issuer.as_bytes()));
    data_dir.join("issuers").join(format!("{name}.json"))
}

impl Kept {
    /// What a file has, unless it is of another issuer or URL, or there is none. The error names the file.
    pub fn read(file: &Path, issuer: &str, url: &str) -> Result<Option<Self>, String> {
        let failed =
            |what: &dyn std::fmt::Display| format!("cannot read {}: {what}", file.display());
        let size = match fs::metadata(file) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|e| failed(&e))?.len(),
        };
        if size > MAX {
            return Err(failed(&"it is too large"));
        }
        let text = fs::read(file).map_err(|e| failed(&e))?;
        let kept: Self = serde_json::from_slice(&text).map_err(|e| failed(&e))?;
        Ok(Some(kept).filter(|kept| kept.issuer == issuer && kept.url == url))
    }

    /// Writes the file whole or not at all. The error names the file.
    pub fn write(&self, file: &Path) -> Result<(), String> {
        let written = || -> io::Result<()> {
            let directory = file.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(directory)?;
            let draft = file.with_extension("json.new");
            let mut handle = File::create(&draft)?;
            handle.write_all(&serde_json::to_vec(self)?)?;
            handle.sync_all()?;
            fs::rename(&draft, file)
        };
        written().map_err(|e| format!("cannot write {}: {e}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_is_kept_for_its_issuer_and_url() {
        let name = format!("authkv-kept-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let kept = Kept {
            issuer: "https://id.example/../x".into(),
            url: "https://id.example/jwks".into(),
            etag: Some("\"1\"".into()),
            key_set: "{\"keys\":[]}".into(),
        };
        let file = path(&directory, &kept.issuer);
        assert!(file.starts_with(directory.join("issuers")));
        let read = |issuer: &str, url: &str| Kept::read(&file, issuer, url);
        assert_eq!(read(&kept.issuer, &kept.url), Ok(None));
        kept.write(&file).unwrap();
        assert_eq!(read(&kept.issuer, &kept.url), Ok(Some(kept.clone())));
        assert_eq!(read("another", &kept.url), Ok(None));
        assert_eq!(read(&kept.issuer, "another"), Ok(None));
        fs::write(&file, "{").unwrap();
        assert!(read(&kept.issuer, &kept.url).is_err());
        fs::remove_dir_all(&directory).unwrap();
    }
}
