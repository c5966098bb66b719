//! Link options of the library.

fn main() {
    // Threads outlive any `dlclose` Tarantool may do on a reload of the functions, so the loaded image must
    // never be unmapped (DF_1_NODELETE, the link-time form of RTLD_NODELETE).
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
