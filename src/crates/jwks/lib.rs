//! The keys of other issuers: read from files, fetched by HTTP, and kept for when the issuer is out of reach. On a thread of its
//! own, except for [`Sources::load`], which blocks.

#![forbid(unsafe_code)]

mod fetch;
mod kept;
mod pace;
mod refresh;
mod target;

pub use refresh::{Line, Refresher};

use authkv_token::issuers::{Issuer, Issuers, KeySource, Remote};
use fetch::Client;
use kept::Kept;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes of a file of issuers, and of a key set in a file.
const FILE_MAX: u64 = 1 << 20;

/// The issuers of a file, with the keys that are known at the start.
#[derive(Default)]
pub struct Sources {
    pub issuers: Arc<Issuers>,
    remotes: Vec<Source>,
    /// For the log.
    lines: Vec<Line>,
}

/// An issuer whose keys are fetched.
struct Source {
    /// Its place among the issuers.
    place: usize,
    remote: Remote,
    client: Client,
    /// Where the last key set is kept, and what is there.
    file: PathBuf,
    kept: Option<Kept>,
}

impl Sources {
    /// Reads the file of issuers, the key sets that it names, and those that were kept in the data directory. Paths in the file
    /// begin in its own directory. `own` is the issuer of authkv's own tokens. The error names the file and what is wrong with it.
    /// Blocks.
    pub fn load(file: &Path, data_dir: &Path, own: &str) -> Result<Self, String> {
        let of = |what: String| format!("{}: {what}", file.display());
        let issuers = Issuers::parse(&read(file)?, own).map_err(of)?;
        let directory = file.parent().unwrap_or(Path::new(""));
        let (mut remotes, mut lines) = (Vec::new(), Vec::new());
        for (place, issuer) in issuers.iter().enumerate() {
            match &issuer.policy.keys {
                KeySource::File(source) => {
                    let path = directory.join(&source.file);
                    let set = issuer.set_keys(&read(&path)?);
                    let set = set.map_err(|what| format!("{}: {what}", path.display()))?;
                    if set.len() == 0 {
                        let out = set.left_out.join("; ");
                        return Err(format!("{}: no key can be used: {out}", path.display()));
                    }
                    lines.extend(refresh::described(issuer, &set, "read"));
                }
                KeySource::Url(remote) => {
                    let of = |what| of(format!("issuer {}: {what}", place + 1));
                    let source = Source::open(place, remote, issuer, (directory, data_dir));
                    let (source, said) = source.map_err(of)?;
                    remotes.push(source);
                    lines.extend(said);
                }
            }
        }
        Ok(Self {
            issuers: Arc::new(issuers),
            remotes,
            lines,
        })
    }
}

impl Source {
    /// Also takes the keys that were kept into use, and returns what is to be logged of them.
    fn open(
        place: usize,
        remote: &Remote,
        issuer: &Issuer,
        (directory, data_dir): (&Path, &Path),
    ) -> Result<(Self, Vec<Line>), String> {
        let ca_file = remote.ca_file.as_ref().map(|path| directory.join(path));
        let client = Client::new(&remote.url, ca_file.as_deref(), remote.bytes_max)?;
        let name = &issuer.policy.issuer;
        let file = kept::path(data_dir, name);
        let (mut kept, mut lines) = (None, Vec::new());
        match Kept::read(&file, name, &remote.url) {
            Ok(Some(found)) => match issuer.set_keys(&found.key_set) {
                Ok(set) => {
                    lines = refresh::described(issuer, &set, "kept");
                    kept = Some(found);
                }
                Err(what) => lines.push(Line::Warning(format!("{}: {what}", file.display()))),
            },
            Ok(None) => {}
            Err(what) => lines.push(Line::Warning(what)),
        }
        let source = Self {
            place,
            remote: remote.clone(),
            client,
            file,
            kept,
        };
        Ok((source, lines))
    }
}

/// Reads a file that should be small. The error names it.
fn read(file: &Path) -> Result<String, String> {
    let failed = |what: String| format!("cannot read {}: {what}", file.display());
    let size = fs::metadata(file).map_err(|e| failed(e.to_string()))?.len();
    if size > FILE_MAX {
        return Err(failed(format!("it has more than {FILE_MAX} bytes")));
    }
    fs::read_to_string(file).map_err(|e| failed(e.to_string()))
}
