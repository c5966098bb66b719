//! The RSA key in its files: made, written, read. Runs at the start of an instance only.

use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
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
    /// Reads the private key, makes it (mode 0600) when there is none, and writes the public key beside it.
    /// The error names the file and what is wrong with it.
    pub fn load_or_make(private_file: &Path, public_file: &Path) -> Result<Self, String> {
        if !private_file.exists() {
            let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS)
                .map_err(|e| format!("cannot make an RSA key: {e}"))?;
            let pem = key
                .to_pkcs8_pem(LineEnding::LF)
                .map_err(|e| format!("cannot encode the RSA key: {e}"))?;
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
        let pem = public
            .to_public_key_pem(LineEnding::LF)
            .map_err(|e| format!("cannot encode the RSA key: {e}"))?;
        if fs::read(public_file).ok().as_deref() != Some(pem.as_bytes()) {
            write(public_file, pem.as_bytes(), 0o644)?;
        }
        let der = key
            .to_pkcs1_der()
            .map_err(|e| format!("cannot encode the RSA key: {e}"))?;
        Ok(Self {
            private: Some(Zeroizing::new(der.as_bytes().to_vec())),
            ..Self::from_public(&public, private_file)?
        })
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
        let der = public
            .to_pkcs1_der()
            .map_err(|e| format!("cannot encode the RSA key: {e}"))?;
        Ok(Self {
            private: None,
            public: der.as_bytes().to_vec(),
            id: thumbprint(public),
        })
    }
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

    #[test]
    fn a_key_is_made_once_and_its_public_half_reads_the_same() {
        let directory = std::env::temp_dir().join(format!("authkv-key-{}", std::process::id()));
        let (private, public) = (directory.join("private.pem"), directory.join("public.pem"));
        let made = Key::load_or_make(&private, &public).unwrap();
        assert_eq!(
            fs::metadata(&private).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let again = Key::load_or_make(&private, &public).unwrap();
        let half = Key::load_public(&public).unwrap();
        assert_eq!((&made.id, &made.public), (&again.id, &again.public));
        assert_eq!(
            (&made.id, &made.public, None),
            (&half.id, &half.public, half.private)
        );
        fs::write(&private, "nonsense").unwrap();
        assert!(Key::load_or_make(&private, &public).is_err());
        fs::remove_dir_all(&directory).unwrap();
    }
}
