//! TLS, by rustls with ring. Any thread.

use authkv_config::TlsFiles;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// Reads the certificate and the key. The error names the file and what is wrong with it.
pub fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, String> {
    let chain = certificates(&files.cert)?;
    let key = private_key(&files.key)?;
    let provider = Arc::new(default_provider());
    let clients = match &files.client_ca {
        None => Arc::new(NoClientAuth),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                let added = roots.add(certificate);
                added.map_err(|e| format!("{}: {e}", file.display()))?;
            }
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            let builder = match files.client_required {
                true => builder,
                false => builder.allow_unauthenticated(),
            };
            let built = builder.build();
            built.map_err(|e| format!("{}: {e}", file.display()))?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|e| format!("{} and {}: {e}", files.cert.display(), files.key.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = Zeroizing::new(read(file)?);
    PrivateKeyDer::from_pem_slice(&text).map_err(|e| {
        let holds = |part: &str| {
            text.windows(part.len())
                .any(|found| found == part.as_bytes())
        };
        // PKCS #8 (RFC 5958 §3), and the older form of OpenSSL.
        let what = match e {
            _ if holds("-----BEGIN ENCRYPTED PRIVATE KEY-----")
                || holds("\nProc-Type: 4,ENCRYPTED") =>
            {
                "the private key is encrypted: there should be one without a passphrase".to_owned()
            }
            pem::Error::NoItemsFound => match holds("-----BEGIN ") {
                true => "there is no private key, only something else in PEM".to_owned(),
                false => "there is no private key in PEM".to_owned(),
            },
            other => other.to_string(),
        };
        format!("{}: {what}", file.display())
    })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_slice_iter(&read(file)?).collect::<Result<Vec<_>, _>>();
    match all {
        Err(e) => Err(format!("{}: {e}", file.display())),
        Ok(all) if all.is_empty() => Err(format!(
            "{}: there is no certificate in PEM",
            file.display()
        )),
        Ok(all) => Ok(all),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}
