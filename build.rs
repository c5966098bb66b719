//! Link options, and the files of Swagger UI.

use std::io::{self, Cursor};
use std::path::Path;
use std::{env, fs};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// What the page `/docs` takes from Swagger UI.
const SWAGGER_UI: &[&str] = &["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> io::Result<()> {
    // Threads outlive any `dlclose` Tarantool may do on a reload of the functions, so the loaded image must
    // never be unmapped (DF_1_NODELETE, the link-time form of RTLD_NODELETE).
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // `authkv.restart()` compares builds by this identifier (`src/tx/image.rs`).
    println!("cargo:rustc-link-arg=-Wl,--build-id=sha1");
    // Unit tests are executables outside Tarantool, whose symbols do not exist there. They may be linked all
    // the same, because no test calls one; a call would end the test at once.
    println!("cargo:rustc-link-arg=-Wl,--unresolved-symbols=ignore-all,-z,lazy");
    println!("cargo:rerun-if-changed=build.rs");
    unpack_swagger_ui()
}

/// Unpacks the archive that the crate holds; nothing is downloaded.
fn unpack_swagger_ui() -> io::Result<()> {
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in SWAGGER_UI {
        let inside = format!("/dist/{name}");
        let is_it = |path: &str| path.ends_with(&inside);
        let index = archive
            .file_names()
            .position(|path| path.is_ok_and(|path| is_it(&path)));
        let index = index.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, inside.clone()))?;
        let mut file = fs::File::create(Path::new(&out).join(name))?;
        io::copy(&mut archive.by_index(index)?, &mut file)?;
    }
    Ok(())
}
