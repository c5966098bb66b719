//! The RSA key in its files: made, written, read. Runs at the start of an instance only.

use crate::config::Config;
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use ring::hmac;
use rsa::pkcs1::{
    DecodeRsaPrivateKey, DecodeRsaPublicKey, EncodeRsaPrivateKey, EncodeRsaPublicKey,
};
use rsa::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding,
};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Bits of a key that is made here.
const BITS: usize = 3072;
/// Bits that RFC 7518 §3.3 asks for at least.
const MIN_BITS: usize = 2048;

/// The key of an instance; `private` only where it signs.
pub struct Key {
    /// PKCS #1 DER.
    pub private: Option<Zeroizing<Vec<u8>>>,
    /// PKCS #1 DER.
    pub public: Vec<u8>,
    /// The thumbprint of the public key (RFC 7638), which names it in the header of a token.
    pub id: String,
}

impl Key {
    /// Reads the private key and writes the public key beside it. A key file that no setting names is made
    /// (mode 0600) when there is none; one that a setting names is never made up or overwritten. The error
    /// names the file and what is wrong with it.
    pub fn load_or_make(config: &Config) -> Result<Self, String> {
        let (private_file, public_file) = (&config.private_key_file, &config.public_key_file);
        if !private_file.exists() && !config.private_key_given {
            let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS).map_err(encoding)?;
            let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(encoding)?;
            write(private_file, pem.as_bytes(), 0o600)?;
        }
        let pem = Zeroizing::new(read(private_file)?);
        let key = RsaPrivateKey::from_pkcs8_pem(&pem)
            .or_else(|_| RsaPrivateKey::from_pkcs1_pem(&pem))
            .map_err(|_| {
                format!(
                    "{} is not an RSA private key in PEM",
                    private_file.display()
                )
            })?;
        let public = key.to_public_key();
        let pem = public.to_public_key_pem(LineEnding::LF).map_err(encoding)?;
        match fs::read(public_file) {
            Ok(found) if found == pem.as_bytes() => {}
            Ok(_) if config.public_key_given => {
                return Err(format!(
                    "{} is not the public half of {}: remove it or name the right one",
                    public_file.display(),
                    private_file.display()
                ));
            }
            _ => write(public_file, pem.as_bytes(), 0o644)?,
        }
        let der = key.to_pkcs1_der().map_err(encoding)?;
        Ok(Self {
            private: Some(Zeroizing::new(der.as_bytes().to_vec())),
            ..Self::from_public(&public, private_file)?
        })
    }

    /// 32 bytes that only the holders of this key can make, always the same for the same purpose.
    pub fn derive(&self, purpose: &[u8]) -> [u8; 32] {
        let secret = self.private.as_ref().map_or(&self.public, |der| der);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Reads a public key only. The error names the file and what is wrong with it.
    pub fn load_public(public_file: &Path) -> Result<Self, String> {
        let pem = read(public_file)?;
        let public = RsaPublicKey::from_public_key_pem(&pem)
            .or_else(|_| RsaPublicKey::from_pkcs1_pem(&pem))
            .map_err(|_| format!("{} is not an RSA public key in PEM", public_file.display()))?;
        Self::from_public(&public, public_file)
    }

    fn from_public(public: &RsaPublicKey, file: &Path) -> Result<Self, String> {
        if public.n().bits() < MIN_BITS {
            let bits = public.n().bits();
            return Err(format!(
                "{} has {bits} bits, but should have at least {MIN_BITS}",
                file.display()
            ));
        }
        let der = public.to_pkcs1_der().map_err(encoding)?;
        Ok(Self {
            private: None,
            public: der.as_bytes().to_vec(),
            id: thumbprint(public),
        })
    }
}

fn encoding(e: impl std::fmt::Display) -> String {
    format!("cannot make or encode the RSA key: {e}")
}

/// RFC 7638 §3: the members in this order, without white space.
fn thumbprint(key: &RsaPublicKey) -> String {
    let text = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    let jwk = format!(
        r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
        text(key.e()),
        text(key.n())
    );
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, jwk.as_bytes()))
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

/// Writes a file whole or not at all.
fn write(file: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    let written = || -> io::Result<()> {
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut draft = file.as_os_str().to_owned();
        draft.push(".new");
        let _ = fs::remove_file(&draft);
        let mut handle = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&draft)?;
        handle.write_all(bytes)?;
        handle.sync_all()?;
        fs::rename(&draft, file)
    };
    written().map_err(|e| format!("cannot write {}: {e}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn config(directory: &Path, settings: &[(&str, &str)]) -> Config {
        let directory = [("DATA_DIR", directory.to_str().unwrap())];
        let given = directory.iter().chain(settings);
        Config::new(
            given
                .map(|(name, text)| (name.to_string(), text.to_string()))
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn a_key_is_made_once_and_never_in_place_of_one_that_was_named() {
        let directory = std::env::temp_dir().join(format!("authkv-key-{}", std::process::id()));
        let default = config(&directory, &[]);
        let private = &default.private_key_file;
        let made = Key::load_or_make(&default).unwrap();
        let mode = fs::metadata(private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Key::load_or_make(&default).unwrap();
        let half = Key::load_public(&default.public_key_file).unwrap();
        assert_eq!((&made.id, &made.public), (&again.id, &again.public));
        assert_eq!(
            (&made.id, &made.public, None),
            (&half.id, &half.public, half.private)
        );
        assert_eq!(made.derive(b"x"), again.derive(b"x"));

        let other = directory.join("other.pem");
        let named = |setting| config(&directory, &[(setting, other.to_str().unwrap())]);
        let error = |config| Key::load_or_make(&config).err().unwrap();
        assert!(error(named("PRIVATE_KEY_FILE")).contains("other.pem"));
        assert!(!other.exists());
        fs::write(&other, "another").unwrap();
        assert!(error(named("PUBLIC_KEY_FILE")).contains("is not the public half"));
        assert_eq!(fs::read(&other).unwrap(), b"another");
        assert!(error(named("PRIVATE_KEY_FILE")).contains("is not an RSA private key"));
        fs::remove_dir_all(&directory).unwrap();
    }
}
