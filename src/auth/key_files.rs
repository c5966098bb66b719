//! Files of keys: those that settings name, and the directory of rotated keys. Blocks: not on the tx thread of a started
//! instance.

use authkv_config::Config;
use authkv_token::key::{PrivateKey, PublicKey};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The suffix of a file's name until the file is whole.
const DRAFT: &str = ".new";

/// Reads the private key. If the file is missing and no setting names it, it is made (mode 0600). A missing file that a
/// setting names is an error. The error names the file and what is wrong with it.
pub fn load_or_make(config: &Config) -> Result<PrivateKey, String> {
    let private_file = &config.private_key_file;
    if !private_file.exists() && !config.private_key_given {
        let made =
            PrivateKey::make(config.live().token_algorithm).map_err(|e| of(private_file, e))?;
        write(private_file, made.to_pem().as_bytes(), 0o600)?;
    }
    load(private_file)
}

/// Whether the file of public keys has to be written, because it differs from the keys that verify at present. A file that a
/// setting names is not overwritten, but must have one of the keys. The error names the file and what is wrong with it.
pub fn is_outdated(config: &Config, keys: &[PublicKey]) -> Result<bool, String> {
    let file = &config.public_key_file;
    let found = match fs::read_to_string(file) {
        Ok(text) => PublicKey::all_from_pem(&text).unwrap_or_default(),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(true),
        Err(_) => Vec::new(),
    };
    let holds = |key: &PublicKey| found.iter().any(|found| found.id() == key.id());
    if config.public_key_given && !keys.iter().any(holds) {
        return Err(format!(
            "{} is not the public half of {}: remove it or name the right one",
            file.display(),
            config.private_key_file.display()
        ));
    }
    let is_same = found.len() == keys.len() && keys.iter().all(holds);
    Ok(!is_same && !config.public_key_given)
}

fn load(file: &Path) -> Result<PrivateKey, String> {
    let pem = Zeroizing::new(read(file)?);
    PrivateKey::from_pem(&pem).map_err(|e| of(file, e))
}

/// Reads the public keys of a file, which must have at least one. The error names the file and what is wrong with it.
pub fn load_public(file: &Path) -> Result<Vec<PublicKey>, String> {
    let keys = PublicKey::all_from_pem(&read(file)?).map_err(|e| of(file, e))?;
    for key in &keys {
        key.check_slowly().map_err(|e| of(file, e))?;
    }
    Ok(keys)
}

/// Replaces the contents of a file by public keys. The error names the file and what is wrong with it.
pub fn write_public(file: &Path, keys: &[PublicKey]) -> Result<(), String> {
    let text: String = keys.iter().map(PublicKey::to_pem).collect();
    write(file, text.as_bytes(), 0o644)
}

/// The directory of rotated keys, with a file for each key.
pub fn ring_directory(config: &Config) -> PathBuf {
    config.data_dir.join("keys")
}

/// Writes a key (mode 0600) into a directory, which is made if it is missing (mode 0700).
pub fn store(directory: &Path, key: &PrivateKey) -> Result<(), String> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|e| format!("cannot make {}: {e}", directory.display()))?;
    let file = directory.join(file_name(key.public().id())?);
    write(&file, key.to_pem().as_bytes(), 0o600)
}

/// Reads all keys of a directory, in order of their ids; none if there is no such directory. A file that is no key, or is
/// named after another key, is an error that names the file.
pub fn load_all(directory: &Path) -> Result<Vec<PrivateKey>, String> {
    let unreadable = |e| format!("cannot read {}: {e}", directory.display());
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut keys = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        // A write was cut short: this key has never been used.
        if name.as_encoded_bytes().ends_with(DRAFT.as_bytes()) {
            continue;
        }
        let key = load(&entry.path())?;
        let right = file_name(key.public().id())?;
        if name != *right {
            return Err(of(&entry.path(), format!("should be named {right}")));
        }
        keys.push(key);
    }
    keys.sort_by(|a, b| a.public().id().cmp(b.public().id()));
    Ok(keys)
}

/// Removes a key from a directory, if it is there.
pub fn remove(directory: &Path, kid: &str) -> Result<(), String> {
    let file = directory.join(file_name(kid)?);
    let removed = match fs::remove_file(&file) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync(directory)),
    };
    removed.map_err(|e| format!("cannot remove {}: {e}", file.display()))
}

/// Removes from a directory the private keys whose ids are not among `used`, and drafts of such files. Only names that
/// [`store`] gives are looked at. `named`: a file that stays in any case. Returns the ids of the removed keys.
pub fn remove_strays(
    directory: &Path,
    used: &[String],
    named: &Path,
) -> Result<Vec<String>, String> {
    let failed = |e| format!("cannot clear {}: {e}", directory.display());
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let named = fs::canonicalize(named).ok();
    let mut removed = Vec::new();
    for entry in entries {
        let file = entry.map_err(failed)?.path();
        let name = file.file_name().and_then(|name| name.to_str());
        let Some(name) = name else { continue };
        let (whole, is_draft) = match name.strip_suffix(DRAFT) {
            Some(whole) => (whole, true),
            None => (name, false),
        };
        let kid = whole.strip_suffix(".pem").unwrap_or_default();
        let is_ours = file_name(kid).is_ok_and(|right| right == whole);
        let is_named = named.is_some() && fs::canonicalize(&file).ok() == named;
        let is_used = !is_draft && used.iter().any(|id| id == kid);
        if !is_ours || is_named || is_used {
            continue;
        }
        fs::remove_file(&file).map_err(failed)?;
        if !is_draft {
            removed.push(kid.to_owned());
        }
    }
    if !removed.is_empty() {
        sync(directory).map_err(failed)?;
    }
    Ok(removed)
}

/// The name of a key's file. Refuses ids that could lead out of the directory.
fn file_name(kid: &str) -> Result<String, String> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match kid.len() == 43 && kid.bytes().all(safe) {
        true => Ok(format!("{kid}.pem")),
        false => Err("the id of a key should be 43 characters of base64url".into()),
    }
}

fn of(file: &Path, what: String) -> String {
    format!("{} {what}", file.display())
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

/// Writes a file whole or not at all, so that it survives a power loss.
fn write(file: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(DRAFT);
    let written = || -> io::Result<()> {
        let directory = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(directory)?;
        let _ = fs::remove_file(&draft);
        let mut handle = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&draft)?;
        handle.write_all(bytes)?;
        handle.sync_all()?;
        fs::rename(&draft, file)?;
        sync(directory)
    };
    written().map_err(|e| {
        let _ = fs::remove_file(&draft);
        format!("cannot write {}: {e}", file.display())
    })
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_token::key::Algorithm;
    use std::os::unix::fs::PermissionsExt;

    /// Keys in PEM.
    struct Samples {
        other: String,
        ec: String,
        ec_public: String,
        ed: String,
        ed_public: String,
    }

    fn samples() -> Samples {
        let make = |algorithm| {
            let key = PrivateKey::make(algorithm).unwrap();
            (key.to_pem().to_string(), key.public().to_pem())
        };
        let (other, _) = make(Algorithm::Es256);
        let (ec, ec_public) = make(Algorithm::Es256);
        let (ed, ed_public) = make(Algorithm::EdDSA);
        Samples {
            other,
            ec,
            ec_public,
            ed,
            ed_public,
        }
    }

    /// A directory for a test, removed at its end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("authkv-{name}-{}", std::process::id())))
        }

        fn config(&self, settings: &[(&str, &str)]) -> Config {
            let directory = [("DATA_DIR", self.0.to_str().unwrap())];
            let given = directory.iter().chain(settings);
            let text = |(name, text): &(&str, &str)| (name.to_string(), text.to_string());
            Config::new(given.map(text).collect()).unwrap()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn see_to_public(config: &Config, keys: &[PublicKey]) -> Result<(), String> {
        match is_outdated(config, keys)? {
            true => write_public(&config.public_key_file, keys),
            false => Ok(()),
        }
    }

    fn mode(file: &Path) -> u32 {
        fs::metadata(file).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_and_never_in_place_of_one_that_was_named() {
        let s = samples();
        let directory = Directory::new("made");
        for algorithm in Algorithm::ALL {
            let config = directory.config(&[("TOKEN_ALGORITHM", algorithm.name())]);
            let made = load_or_make(&config).unwrap();
            assert_eq!(made.public().algorithm(), algorithm);
            assert_eq!(mode(&config.private_key_file), 0o600);
            let again = load_or_make(&config).unwrap();
            see_to_public(&config, std::slice::from_ref(made.public())).unwrap();
            assert!(!is_outdated(&config, std::slice::from_ref(made.public())).unwrap());
            let half = load_public(&config.public_key_file).unwrap();
            assert_eq!(made.to_pem(), again.to_pem());
            assert_eq!(made.public().id(), half[0].id());
            fs::remove_file(&config.private_key_file).unwrap();
        }

        fs::write(directory.0.join("jwt_private.pem"), &s.ed).unwrap();
        let other = directory.0.join("other.pem");
        let named = |setting| directory.config(&[(setting, other.to_str().unwrap())]);
        let see_to = |config: &Config| {
            let key = load_or_make(config)?;
            see_to_public(config, std::slice::from_ref(key.public()))
        };
        let error = |config| see_to(&config).err().unwrap();
        assert!(error(named("PRIVATE_KEY_FILE")).contains("other.pem"));
        assert!(!other.exists());
        fs::write(&other, "another").unwrap();
        assert!(error(named("PUBLIC_KEY_FILE")).contains("is not the public half"));
        assert_eq!(fs::read(&other).unwrap(), b"another");
        assert!(error(named("PRIVATE_KEY_FILE")).contains("other.pem is not a private key"));
    }

    #[test]
    fn a_public_file_is_left_alone_where_it_holds_the_keys() {
        let s = samples();
        let directory = Directory::new("public");
        let config = directory.config(&[]);
        fs::create_dir_all(&directory.0).unwrap();
        fs::write(&config.private_key_file, &s.ed).unwrap();
        let key = load_or_make(&config).unwrap();
        let own = std::slice::from_ref(key.public());
        let both = [&*s.ec_public, &*s.ed_public].concat();
        let named = [("PUBLIC_KEY_FILE", config.public_key_file.to_str().unwrap())];
        let named = directory.config(&named);
        for (config, before, after) in [
            (&config, &s.ec_public, &s.ed_public),
            (&config, &both, &s.ed_public),
            (&named, &both, &both),
        ] {
            fs::write(&config.public_key_file, before).unwrap();
            see_to_public(config, own).unwrap();
            assert_eq!(&fs::read_to_string(&config.public_key_file).unwrap(), after);
        }
        let keys = load_public(&config.public_key_file).unwrap();
        write_public(&config.public_key_file, &keys[..1]).unwrap();
        let left = fs::read_to_string(&config.public_key_file).unwrap();
        assert_eq!(left, s.ec_public);
    }

    #[test]
    fn keys_are_stored_and_removed_by_their_ids() {
        let s = samples();
        let directory = Directory::new("ring");
        let ring = ring_directory(&directory.config(&[]));
        assert!(load_all(&ring).unwrap().is_empty());
        let keys = [&s.other, &s.ec, &s.ed].map(|text| {
            let key = PrivateKey::from_pem(text).unwrap();
            store(&ring, &key).unwrap();
            key
        });
        let file = |key: &PrivateKey| ring.join(format!("{}.pem", key.public().id()));
        assert_eq!((mode(&ring), mode(&file(&keys[0]))), (0o700, 0o600));
        fs::write(ring.join("cut.pem.new"), "-----BEGIN").unwrap();
        let ids = || -> Vec<String> {
            let all = load_all(&ring).unwrap();
            all.iter().map(|key| key.public().id().to_owned()).collect()
        };
        let mut stored = keys.each_ref().map(|key| key.public().id().to_owned());
        stored.sort();
        assert_eq!(ids(), stored);

        for _ in 0..2 {
            remove(&ring, &stored[0]).unwrap();
            assert_eq!(ids(), stored[1..]);
        }
        for kid in ["", "..", "../jwt_private", &"/".repeat(43)] {
            assert!(remove(&ring, kid).is_err(), "{kid}");
        }

        let misnamed = ring.join("mine.pem");
        for (text, what) in [(&*s.ed, "should be named"), ("x", "is not a private")] {
            fs::write(&misnamed, text).unwrap();
            let error = load_all(&ring).err().unwrap();
            assert!(
                error.contains("mine.pem") && error.contains(what),
                "{error}"
            );
        }
    }
    #[test]
    fn only_own_files_of_unused_keys_are_removed() {
        let directory = Directory::new("strays");
        let ring = ring_directory(&directory.config(&[]));
        assert_eq!(remove_strays(&ring, &[], Path::new("")), Ok(Vec::new()));
        let [used, stray, named] = [(); 3].map(|()| {
            let key = PrivateKey::make(Algorithm::EdDSA).unwrap();
            store(&ring, &key).unwrap();
            key.public().id().to_owned()
        });
        let file = |name: &str| ring.join(name);
        let draft = format!("{used}.pem.new");
        let others = [
            "mine.pem",
            "README",
            "cut.pem.new",
            &format!("{stray}.bak"),
            &format!("{}.pem", "x".repeat(42)),
        ];
        for name in others.iter().chain([&&*draft]) {
            fs::write(file(name), "x").unwrap();
        }
        let link = directory.0.join("named.pem");
        let named_file = file(&format!("{named}.pem"));
        std::os::unix::fs::symlink(&named_file, &link).unwrap();
        let used = [used];
        assert_eq!(remove_strays(&ring, &used, &link), Ok(vec![stray]));
        assert_eq!(remove_strays(&ring, &used, &link), Ok(Vec::new()));
        assert!(!file(&draft).exists() && named_file.exists());
        assert!(others.iter().all(|name| file(name).exists()));
        assert_eq!(fs::read_dir(&ring).unwrap().count(), others.len() + 2);
    }
}
