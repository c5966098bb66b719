//! One fetch of a key set over HTTP/1.1, on a connection of its own. The caller limits its time.
//!
//! A redirect is refused, because it would choose another place for the keys than the operator did. Proxies of the environment
//! are not used.

use super::pace::max_age;
use super::target::{is_loopback, Target};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, ETAG, HOST, IF_NONE_MATCH, USER_AGENT};
use http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{lookup_host, TcpStream};
use tokio_rustls::TlsConnector;

/// The certificates of authorities that the system trusts: Debian and Alpine, Red Hat, SUSE.
const SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// The most bytes of the header of an answer, and of an `ETag`.
const HEADER_MAX: usize = 32 * 1024;
const ETAG_MAX: usize = 1024;

/// Fetches one URL.
pub struct Client {
    target: Target,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    bytes_max: usize,
}

/// The answer.
pub struct Fetched {
    /// `None` if it is the one that is known.
    pub new: Option<(String, Option<String>)>,
    /// The seconds for which it is fresh, if the answer says so.
    pub max_age: Option<u64>,
}

impl Client {
    /// Reads the certificates of the authorities. The error says what is wrong.
    pub fn new(url: &str, ca_file: Option<&Path>, bytes_max: usize) -> Result<Self, String> {
        let target = Target::parse(url)?;
        let tls = match target.is_tls {
            true => {
                let name = ServerName::try_from(target.host.clone());
                let name = name.map_err(|_| "its url has a host that is no name")?;
                Some((connector(ca_file)?, name))
            }
            false if ca_file.is_some() => return Err("its ca_file is for an https url".into()),
            false => None,
        };
        Ok(Self {
            target,
            tls,
            bytes_max,
        })
    }

    /// Fetches the key set, unless it is still the one with this tag (RFC 9110 §13.1.2). The error says what went wrong.
    pub async fn fetch(&self, etag: Option<&str>) -> Result<Fetched, String> {
        let stream = self.connect().await?;
        match &self.tls {
            None => self.ask(stream, etag).await,
            Some((connector, name)) => {
                let connected = connector.connect(name.clone(), stream).await;
                self.ask(connected.map_err(|e| format!("TLS: {e}"))?, etag)
                    .await
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let Target { host, port, .. } = &self.target;
        let found = lookup_host((host.as_str(), *port)).await;
        let found = found.map_err(|e| format!("its host is not known: {e}"))?;
        let mut failed = "its host has no address that may be used".to_owned();
        for address in found {
            if self.tls.is_none() && !is_loopback(&address.ip()) {
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(e) => failed = format!("cannot connect: {e}"),
            }
        }
        Err(failed)
    }

    async fn ask(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        etag: Option<&str>,
    ) -> Result<Fetched, String> {
        let mut request = Request::get(&self.target.path)
            .header(HOST, &self.target.authority)
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .header(USER_AGENT, "authkv")
            .header(CONNECTION, "close");
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request.body(String::new()).map_err(|e| e.to_string())?;
        let handshake = http1::Builder::new()
            .max_buf_size(HEADER_MAX)
            .handshake::<_, String>(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(|e| in_words(&e))?;
        let answered = async {
            let answer = sender
                .send_request(request)
                .await
                .map_err(|e| in_words(&e))?;
            self.read(answer, etag.is_some()).await
        };
        // The connection does the work of both; when the answer is read it is dropped.
        tokio::pin!(answered);
        tokio::select! {
            answered = &mut answered => answered,
            ended = connection => {
                ended.map_err(|e| in_words(&e))?;
                answered.await
            }
        }
    }

    async fn read(&self, answer: Response<Incoming>, has_etag: bool) -> Result<Fetched, String> {
        let (head, mut body) = answer.into_parts();
        let values = head.headers.get_all(CACHE_CONTROL).into_iter();
        let max_age = max_age(values.filter_map(|value| value.to_str().ok()));
        match head.status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if has_etag => return Ok(Fetched { new: None, max_age }),
            status if status.is_redirection() => {
                return Err(format!("it answered {status}: redirects are not followed"))
            }
            status => return Err(format!("it answered {status}")),
        }
        let is_encoded = head.headers.contains_key(CONTENT_ENCODING)
            || head
                .headers
                .get(TRANSFER_ENCODING)
                .is_some_and(|coding| coding != "chunked");
        if is_encoded {
            return Err("its answer is compressed, which was not asked for".into());
        }
        let too_large = || Err(format!("its answer has more than {} bytes", self.bytes_max));
        if body.size_hint().lower() > self.bytes_max as u64 {
            return too_large();
        }
        let mut text: Vec<u8> = Vec::new();
        while let Some(piece) = next(&mut body).await? {
            if text.len() + piece.len() > self.bytes_max {
                return too_large();
            }
            text.extend_from_slice(&piece);
        }
        let text = String::from_utf8(text).map_err(|_| "its answer is not UTF-8")?;
        Ok(Fetched {
            new: Some((text, etag_of(&head.headers))),
            max_age,
        })
    }
}

/// The next bytes of a body, or `None` at its end.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, String> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        let Some(frame) = frame.transpose().map_err(|e| in_words(&e))? else {
            return Ok(None);
        };
        // Trailers are not looked at.
        if let Ok(bytes) = frame.into_data() {
            return Ok(Some(bytes));
        }
    }
}

fn etag_of(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(ETAG)?.to_str().ok()?;
    (etag.len() <= ETAG_MAX).then(|| etag.to_owned())
}

/// An error of HTTP with its causes: the first alone says little.
fn in_words(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// TLS that trusts the authorities of a file, or those of the system.
fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let system = || SYSTEM.iter().map(Path::new).find(|path| path.exists());
    let file = ca_file.or_else(system);
    let file =
        file.ok_or("the system has no file of certificates of authorities: name a ca_file")?;
    let failed = |what: &dyn std::fmt::Display| format!("cannot read {}: {what}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| failed(&e))? {
        let added = roots.add(certificate.map_err(|e| failed(&e))?);
        // Of the system's hundred certificates, some may be of a form that is not supported.
        if ca_file.is_some() {
            added.map_err(|e| failed(&e))?;
        }
    }
    if roots.is_empty() {
        return Err(failed(&"it has no certificate"));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}
